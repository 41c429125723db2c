"""The writer's queue: nothing is lost, and a sleeping taker always wakes."""

import threading
import time

import pytest

from lastgood.store.inbox import Inbox

PATIENCE_S = 30.0


@pytest.fixture
def inbox():
    return Inbox()


def in_thread(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def joined(thread):
    thread.join(PATIENCE_S)
    return not thread.is_alive()


def test_items_come_out_in_their_order_and_no_more_than_asked_for(inbox):
    for number in range(5):
        inbox.put(number)
    assert len(inbox) == 5
    assert inbox.take(3) == [0, 1, 2]
    assert inbox.take(3) == [3, 4]
    assert inbox.take(3) == []


def test_what_is_there_already_is_not_waited_for(inbox):
    inbox.put(1)
    inbox.wait(1)
    inbox.put(2)
    inbox.wait(2)
    assert inbox.take(9) == [1, 2]


def test_a_taker_sleeps_until_as_many_are_there_as_it_wants(inbox):
    taker = in_thread(lambda: inbox.wait(3))
    for number in range(2):
        inbox.put(number)
    taker.join(0.2)
    assert taker.is_alive()
    inbox.put(2)
    assert joined(taker)


def test_a_taker_whose_time_is_over_takes_what_there_is(inbox):
    inbox.put(1)
    inbox.wait(2, timeout_s=0.01)
    assert inbox.take(9) == [1]


def test_an_item_that_comes_just_when_the_time_is_over_is_neither_lost_nor_counted_twice(inbox):
    """Many close calls between the end of the time and the item that was waited for."""
    count, taken = 3000, []

    def take():
        while len(taken) < count:
            inbox.wait(1)
            inbox.wait(2, timeout_s=0.0002)
            taken.extend(inbox.take(2))

    taker = in_thread(take)
    for number in range(count):
        inbox.put(number)
        time.sleep(0.0002 if number % 2 else 0)
    assert joined(taker)
    assert taken == list(range(count))


def test_many_threads_put_and_nothing_is_lost(inbox):
    givers = [in_thread(lambda n=n: [inbox.put((n, k)) for k in range(500)]) for n in range(8)]
    taken = []
    while len(taken) < 8 * 500:
        inbox.wait(1, timeout_s=PATIENCE_S)
        taken += inbox.take(7)
    assert all(joined(giver) for giver in givers)
    for n in range(8):
        assert [k for giver, k in taken if giver == n] == list(range(500))
