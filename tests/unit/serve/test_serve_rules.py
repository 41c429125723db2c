"""The pure parts: what to do next, the wire, the table, receipts, packages."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import lastgood.serve
from lastgood.core.ids import digest_of_hex
from lastgood.core.observations import Receipt
from lastgood.core.views import Target
from lastgood.errors import LastgoodError
from lastgood.serve.environment import differences, pinned
from lastgood.serve.options import check_host
from lastgood.serve.receipts import ReceiptRing, TrafficMeter
from lastgood.serve.steps import Failure, Situation, Step, failed_again, next_step
from lastgood.serve.table import Table, Tenure
from lastgood.serve.wire import Reply, parse_content_type, problem, request_id

D1, D2, D3 = (digest_of_hex(str(n) * 64) for n in (1, 2, 3))


def target(version, digest, seq):
    return Target(model="m", ref="r", seq=seq, version=version, digest=digest)


V1, V2 = target(1, D1, 1), target(2, D2, 2)


def situation(**changes):
    given = {"wanted": None, "serving": None, "loaded": frozenset(), "failures": {}}
    return Situation(**(given | changes))


def failure(seq=2, retry_at=100.0):
    return Failure(seq=seq, attempts=1, retry_at=retry_at, reason="x")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (situation(), Step(kind="wait")),
        (situation(wanted=target(None, None, 3)), Step(kind="wait")),
        (situation(wanted=V1), Step(kind="load", target=V1)),
        (situation(wanted=V1, loaded={D1}), Step(kind="swap", target=V1)),
        (situation(wanted=V1, serving=V1, loaded={D1}), Step(kind="wait")),
        # The same version by a newer order: a new tenure, nothing to load.
        (
            situation(wanted=target(1, D1, 9), serving=V1, loaded={D1}),
            Step(kind="swap", target=target(1, D1, 9)),
        ),
        # It broke: what is wanted serves by name only.
        (situation(wanted=V1, serving=V1, loaded=frozenset()), Step(kind="load", target=V1)),
        # A failure waits for its time, except for a newer order.
        (
            situation(wanted=V2, serving=V1, loaded={D1}, failures={D2: failure()}),
            Step(kind="wait", until=100.0),
        ),
        (
            situation(wanted=V2, serving=V1, loaded={D1}, failures={D2: failure(retry_at=9)}),
            Step(kind="load", target=V2),
        ),
        (
            situation(wanted=V2, serving=V1, loaded={D1}, failures={D2: failure(seq=1)}),
            Step(kind="load", target=V2),
        ),
        # Rather what served before than nothing, but never instead of the order.
        (situation(fallback=(V1,)), Step(kind="load", target=V1)),
        (situation(wanted=V2, fallback=(V1,)), Step(kind="load", target=V2)),
        (
            situation(wanted=V2, fallback=(V1,), failures={D2: failure()}),
            Step(kind="load", target=V1),
        ),
        (
            situation(wanted=V2, serving=V1, loaded={D1}, fallback=(V1,), failures={D2: failure()}),
            Step(kind="wait", until=100.0),
        ),
        (situation(wanted=target(None, None, 3), fallback=(V1,)), Step(kind="load", target=V1)),
        # Warming up again comes last.
        (situation(wanted=V2, serving=V2, loaded={D2}, rewarm=V1), Step(kind="warm", target=V1)),
        (situation(wanted=V2, loaded={D2}, rewarm=V1), Step(kind="swap", target=V2)),
        (situation(wanted=V2, serving=V2, loaded={D1, D2}, rewarm=V1), Step(kind="wait")),
        (
            situation(wanted=V2, serving=V2, loaded={D2}, rewarm=V1, failures={D1: failure()}),
            Step(kind="wait"),
        ),
    ],
)
def test_the_next_step(now, expected):
    assert next_step(now, clock=50.0) == expected


def test_retries_wait_longer_each_time_up_to_five_minutes_and_a_new_order_starts_anew():
    earlier, delays = None, []
    for _ in range(6):
        earlier = failed_again(earlier, seq=2, reason="x", clock=0.0)
        delays.append(earlier.retry_at)
    assert delays == [30, 60, 120, 240, 300, 300]
    assert failed_again(earlier, seq=3, reason="x", clock=0.0).retry_at == 30


def tenure(version, digest, *, broken="", seq=0):
    return Tenure(target(version, digest, seq), SimpleNamespace(broken=broken), None)


def test_the_table_routes_to_another_version_only_when_the_active_one_cannot_come_back():
    assert Table().route() is None
    one, two = tenure(1, D1), tenure(2, D2)
    table = Table(active=two, warm=(one,))
    assert table.route() is two
    two.slot.broken = "dead"
    assert table.route() is one
    assert table.slot_of(D2) is None
    one.slot.broken = "dead"
    assert table.route() is two


def test_a_swap_keeps_as_many_warm_as_told_each_version_once_and_no_broken_one():
    one, two, three = tenure(1, D1), tenure(2, D2), tenure(3, D3)
    table = Table(active=one).with_active(two, keep_warm=1).with_active(three, keep_warm=1)
    assert (table.active, table.warm) == (three, (two,))
    back = Tenure(target(2, D2, 9), two.slot, None)
    table = table.with_active(back, keep_warm=2)
    assert (table.active, table.warm) == (back, (three,))
    three.slot.broken = "dead"
    assert table.with_active(one, keep_warm=5).warm == (back,)
    assert table.with_active(one, keep_warm=0).warm == ()


def test_the_ring_drops_the_oldest_and_counts_it():
    ring = ReceiptRing(size=3)
    receipts = [
        Receipt(
            request_id=str(n),
            at_ms=0,
            model="m",
            ref="r",
            version=1,
            digest=D1,
            seq=1,
            status=200,
            latency_us=1,
        )
        for n in range(5)
    ]
    for receipt in receipts:
        ring.add(receipt)
    assert ring.dropped == 2
    assert ring.take(2) == tuple(receipts[2:4])
    assert ring.take(9) == (receipts[4],)
    assert ring.take(9) == ()


def test_windows_add_up_and_an_idle_one_stays_open():
    meter = TrafficMeter(model="m", ref="r", version=1, digest=D1, seq=4, since=100)
    assert meter.window(200) is None
    meter.count(failed=False)
    meter.count(failed=True)
    first = meter.window(300)
    assert (first.from_ms, first.to_ms, first.requests, first.failures, first.seq) == (
        100,
        300,
        2,
        1,
        4,
    )
    assert meter.window(400) is None
    meter.count(failed=False)
    second = meter.window(500)
    assert (second.from_ms, second.requests, second.failures) == (300, 1, 0)


def test_only_exact_pins_are_compared():
    lines = [
        "numpy==2.1.0",
        "pandas>=2",
        "a[x]==1 ; python_version > '3'",
        "b===4",
        "# c==1",
        "d @ file:///x",
        "e==1.*",
    ]
    assert pinned(lines) == {"numpy": "2.1.0", "a": "1", "b": "4", "e": "1.*"}
    assert differences({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9", "c": None}) == (
        "b 9 (recorded: 2)",
        "c is missing (recorded: 3)",
    )
    many = differences({f"p{n:02}": "1" for n in range(25)}, {})
    assert len(many) == 21
    assert many[-1] == "and 5 more"


@pytest.mark.parametrize("given", [b"abc", b"A.b-c_9", b"x" * 64])
def test_a_request_id_in_form_is_kept(given):
    assert request_id(given) == given.decode()


@pytest.mark.parametrize("given", [None, b"", b"x" * 65, b"a b", b"a\n", "é".encode()])
def test_a_request_id_out_of_form_is_replaced(given):
    made = request_id(given)
    assert len(made) == 32
    assert made != request_id(given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"application/json", "application/json"),
        (b"Application/JSON; charset=UTF-8", "application/json"),
        (b'text/csv;charset="utf-8"', "text/csv"),
        (b"application/json;", "application/json"),
        (None, 400),
        (b"  ", 400),
        (b"text/html", 415),
        (b"application/json; charset=utf-16", 415),
        (b"application/json; boundary=x", 415),
    ],
)
def test_content_types(given, expected):
    found = parse_content_type(given)
    assert (found.status if isinstance(found, Reply) else found) == expected


def test_a_problem_is_in_mlflows_form():
    assert problem(503, "X", "why", retry_after_s=2) == Reply(
        status=503, body=b'{"error_code":"X","message":"why"}', retry_after_s=2
    )


def test_only_loopback_addresses_are_listened_on():
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        check_host(host)
    for host in ("0.0.0.0", "::", "192.168.1.4", "example.org", ""):
        with pytest.raises(LastgoodError, match="access control does not exist yet"):
            check_host(host)


def test_no_module_beside_the_worker_script_hides_one_of_pythons():
    # The script's directory leads its import path until it takes it out.
    beside = {path.stem for path in Path(lastgood.serve.__file__).parent.glob("*.py")}
    assert not beside & sys.stdlib_module_names
