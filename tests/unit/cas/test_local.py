"""What `LocalObjects` does when something is in its way; the contract is in tests/contract/test_objects.py."""

import errno
import os
import threading

import pytest

from lastgood.cas.local import LocalObjects, translated
from lastgood.errors import StoreFull, StoreUnavailable


@pytest.fixture
def objects(tmp_path):
    return LocalObjects(tmp_path / "objects")


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EDQUOT, StoreFull),
        (errno.EROFS, StoreUnavailable),
        (errno.EACCES, StoreUnavailable),
        (errno.EIO, StoreUnavailable),
        (errno.EMFILE, StoreUnavailable),
    ],
)
def test_what_the_system_says_is_said_in_our_words(tmp_path, number, error):
    with pytest.raises(error) as refused, translated(tmp_path / "file"):
        raise OSError(number, os.strerror(number))
    assert type(refused.value) is error
    assert str(tmp_path) in refused.value.message
    assert refused.value.hint


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="the system cannot read without waiting")
def test_what_was_written_just_now_is_at_hand_on_a_disk_that_is_always_there(tmp_path, objects):
    near = LocalObjects(tmp_path / "objects", near=True)
    digest = objects.put_bytes(b"model")
    assert near.at_hand(digest, size=5) == b"model"
    assert (
        objects.at_hand(digest, size=5) is None
    )  # its disk may be away, and then so would be who asks
    near.path_of(digest).chmod(0o644)
    near.path_of(digest).write_bytes(b"other")
    assert near.at_hand(digest, size=5) is None


def test_a_store_opens_over_what_another_left(tmp_path, objects):
    digest = objects.put_bytes(b"model")
    again = LocalObjects(tmp_path / "objects")
    assert again.verify(digest) == 5
    assert again.put_bytes(b"model") == digest


def test_objects_are_not_synced_only_where_a_test_says_so(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: (synced.append(descriptor), real(descriptor))
    )
    LocalObjects(tmp_path / "careless", durable=False).put_bytes(b"model")
    assert synced == []
    careful = LocalObjects(tmp_path / "careful")
    made = len(synced)
    careful.put_bytes(b"model")
    assert len(synced) - made == 3  # the file, its folder, and the folder's name
    made = len(synced)
    careful.put_bytes(b"model")
    assert (
        len(synced) - made == 1
    )  # there already: the new file is dropped, the old name made sure of


def test_writers_do_not_get_into_each_others_way(objects):
    first, second = objects.writer(), objects.writer()
    with first, second:
        first.write(b"one ")
        second.write(b"two ")
        first.write(b"one")
        second.write(b"two")
        assert objects.verify(first.commit()) == 7
        assert objects.verify(second.commit()) == 7


def test_a_reader_keeps_its_object_while_it_is_put_again(objects):
    data = bytes(4 * 2**20)
    digest = objects.put_bytes(data)
    stop, wrong = threading.Event(), []

    def read():
        while not stop.is_set():
            if b"".join(objects.read(digest)) != data:
                wrong.append(digest)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        objects.put_bytes(data)
    stop.set()
    reader.join()
    assert wrong == []
