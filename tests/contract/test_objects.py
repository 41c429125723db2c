"""The contract of `cas.port.ObjectStore`, run over every implementation."""

import hashlib
import io
import os
import stat
import subprocess
import sys
import threading
import time
import tracemalloc

import pytest

from contract.object_stores import Local, in_folder
from lastgood.cas.local import LEFTOVER_AGE_S, LocalObjects
from lastgood.cas.port import CHUNK_SIZE
from lastgood.core.ids import digest_of_hex
from lastgood.errors import IntegrityFailure, NotFound, StoreUnavailable, TooLarge

SIZES = (0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE + 7)


@pytest.fixture(params=["local", "folder", "s3", pytest.param("azure", marks=pytest.mark.nightly)])
def store(request, tmp_path):
    if request.param == "local":
        return Local(tmp_path / "objects")
    if request.param == "folder":
        return in_folder(tmp_path / "objects")
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture
def objects(store):
    return store.objects


def content(size):
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def digest_of(data):
    return digest_of_hex(hashlib.sha256(data).hexdigest())


class Zeros(io.RawIOBase):
    """A stream of zeros that takes no memory."""

    def __init__(self, size):
        self.left = size

    def read(self, size=-1):
        count = self.left if size < 0 else min(size, self.left)
        self.left -= count
        return bytes(count)


# --- what goes in comes out ---------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_what_was_put_is_read_back(objects, size):
    data = content(size)
    digest = objects.put(io.BytesIO(data))
    assert digest == digest_of(data) == objects.put_bytes(data)
    assert b"".join(objects.read(digest)) == data
    assert objects.read_bytes(digest, size_max=size) == data
    assert objects.size(digest) == objects.verify(digest) == size
    assert objects.has(digest)
    assert list(objects.digests()) == [digest]


@pytest.mark.parametrize(
    "part", [(0, 1), (5, 5), (1, None), (CHUNK_SIZE - 1, CHUNK_SIZE + 1), (7, 10**9)]
)
def test_a_part_is_the_bytes_asked_for(objects, part):
    data = content(3 * CHUNK_SIZE + 7)
    start, end = part
    read = objects.read(objects.put_bytes(data), start=start, end=end)
    assert b"".join(read) == data[start:end]


def test_an_object_written_in_pieces_is_the_same_object(objects):
    data = content(CHUNK_SIZE + 5)
    with objects.writer() as writer:
        for start in range(0, len(data), 100_000):
            writer.write(data[start : start + 100_000])
        assert writer.size == len(data)
        digest = writer.commit()
    assert digest == digest_of(data)


def test_objects_are_listed_in_order(objects):
    digests = [objects.put_bytes(b"%d" % n) for n in range(50)]
    assert list(objects.digests()) == sorted(digests)


def test_an_object_not_stored_is_not_found(objects):
    digest = digest_of(b"never put")
    assert not objects.has(digest)
    for ask in (
        objects.size,
        objects.verify,
        lambda d: list(objects.read(d)),
        lambda d: list(objects.read(d, start=1)),
        lambda d: objects.read_bytes(d, size_max=10),
    ):
        with pytest.raises(NotFound, match=digest):
            ask(digest)


def test_more_than_the_limit_is_refused(objects):
    digest = objects.put_bytes(b"12345")
    assert objects.read_bytes(digest, size_max=5) == b"12345"
    with pytest.raises(TooLarge):
        objects.read_bytes(digest, size_max=4)


# --- nothing but whole, right objects ------------------------------------------------------------


def test_bytes_other_than_promised_are_refused_and_leave_nothing(store, objects):
    with pytest.raises(IntegrityFailure):
        objects.put(io.BytesIO(b"other"), expect=digest_of(b"promised"))
    assert not objects.has(digest_of(b"promised"))
    assert not objects.has(digest_of(b"other"))
    assert store.files() == []


def test_an_abandoned_writer_leaves_nothing(store, objects):
    with objects.writer() as writer:
        writer.write(content(3 * CHUNK_SIZE))
        assert list(objects.digests()) == []  # invisible before it is committed
    assert store.files() == []


def test_a_stream_that_breaks_leaves_nothing(store, objects):
    class Broken(Zeros):
        def read(self, size=-1):
            if self.left < CHUNK_SIZE:
                raise ConnectionError
            return super().read(size)

    with pytest.raises(ConnectionError):
        objects.put(Broken(3 * CHUNK_SIZE - 1))
    assert store.files() == []


def _flip(at):
    def change(data):
        data[at] ^= 1

    return change


DAMAGES = {
    "first byte": _flip(0),
    "a byte in the middle": _flip(CHUNK_SIZE + 1),
    "last byte": _flip(-1),
    "cut by one": lambda data: data.pop(),
    "cut to nothing": bytearray.clear,
    "cut at a chunk": lambda data: data.__delitem__(slice(CHUNK_SIZE, None)),
    "longer by one": lambda data: data.append(0),
    "zeros at the end": lambda data: data.__setitem__(slice(-4096, None), bytes(4096)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_bytes_are_refused_on_every_path(store, objects, damage):
    data = content(2 * CHUNK_SIZE + 9)
    digest = objects.put_bytes(data)
    assert objects.verify(digest)  # the control: before the damage every path answers
    store.alter(digest, DAMAGES[damage])
    for ask in (
        objects.verify,
        lambda d: list(objects.read(d)),
        lambda d: next(iter(objects.read(d, start=0, end=1))),  # a part nowhere near the damage
        lambda d: next(iter(objects.read(d, start=CHUNK_SIZE, end=CHUNK_SIZE + 1))),
        lambda d: objects.read_bytes(d, size_max=10**9),
    ):
        with pytest.raises(IntegrityFailure, match=digest):
            ask(digest)


@pytest.mark.parametrize("damage", ["cut by one", "longer by one", "flipped"])
def test_what_is_at_hand_is_whole_and_sound_or_not_given(store, objects, damage):
    data = content(4096)
    digest = objects.put_bytes(data)
    assert objects.at_hand(digest, size=4096) in {None, data}
    assert objects.at_hand(digest, size=4095) is None
    assert objects.at_hand(digest_of(b"never stored"), size=4096) is None
    store.alter(digest, DAMAGES.get(damage, _flip(17)))
    assert objects.at_hand(digest, size=4096) is None


def test_who_reads_damaged_bytes_never_gets_all_of_them(store, objects):
    """The last chunk is held back, so that a client that counts bytes cannot take them for whole."""
    digest = objects.put_bytes(content(2 * CHUNK_SIZE))
    store.alter(digest, _flip(0))
    got = []
    with pytest.raises(IntegrityFailure):
        got.extend(objects.read(digest))
    assert sum(map(len, got)) < 2 * CHUNK_SIZE


@pytest.mark.parametrize("damage", DAMAGES)
def test_putting_the_bytes_again_mends_a_damaged_object(store, objects, damage):
    data = content(2 * CHUNK_SIZE + 9)
    digest = objects.put_bytes(data)
    store.alter(digest, DAMAGES[damage])
    assert objects.put(io.BytesIO(data), expect=digest) == digest
    assert objects.verify(digest) == len(data)
    assert len(store.files()) == 1


def test_a_lost_object_can_be_put_again(store, objects):
    digest = objects.put_bytes(b"model")
    store.remove(digest)
    assert objects.put_bytes(b"model") == digest
    assert objects.verify(digest) == 5


# --- once, also when many do it at once ------------------------------------------------------------


def test_the_same_bytes_are_stored_once(store, objects):
    for _ in range(3):
        objects.put_bytes(b"same")
    assert len(store.files()) == 1


def test_many_put_the_same_and_other_bytes_at_once(store, objects):
    start = threading.Barrier(8)
    found: list = []

    def put(who):
        start.wait()
        for round_ in range(20):
            found.append((b"all %d" % round_, objects.put_bytes(b"all %d" % round_)))
            found.append((b"%d %d" % (who, round_), objects.put_bytes(b"%d %d" % (who, round_))))

    threads = [threading.Thread(target=put, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 320
    assert all(digest == digest_of(data) for data, digest in found)
    assert len(store.files()) == len(list(objects.digests())) == 20 + 160
    for digest in objects.digests():
        objects.verify(digest)


def test_a_reader_of_a_damaged_object_that_is_replaced_gets_one_or_the_other(store, objects):
    data = content(4 * CHUNK_SIZE)
    digest = objects.put_bytes(data)
    reading = objects.read(digest)
    next(reading)
    store.alter(digest, _flip(-1))
    objects.put_bytes(data)
    try:
        rest = b"".join(reading)
    except IntegrityFailure:  # what it had open was damaged
        pass
    else:  # it had read ahead, or reads what lies there now
        assert data.endswith(rest)
    assert b"".join(objects.read(digest)) == data


# --- bounded memory ---------------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_object(store, objects):
    tracemalloc.start()
    digest = objects.put(Zeros(64 * 2**20))
    for _ in objects.read(digest):
        pass
    for _ in objects.read(digest, start=1):
        pass
    objects.verify(digest)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < store.memory_max


def test_the_measure_of_memory_would_notice_a_whole_object(store, objects):
    """The control of the test above."""
    digest = objects.put(Zeros(64 * 2**20))
    tracemalloc.start()
    objects.read_bytes(digest, size_max=10**9)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak > store.memory_max


RESIDENT = """
import sys
from pathlib import Path
from lastgood.cas.select import open_objects

class Zeros:
    left = 300 * 2**20
    def read(self, size):
        count = min(size, self.left)
        self.left -= count
        return bytes(count)

objects = open_objects(sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1]))
digest = objects.put(Zeros())
assert sum(map(len, objects.read(digest))) == 300 * 2**20
# Not ru_maxrss: that keeps what the parent had before exec.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("store", ["local", "s3"], indirect=True)
def test_a_process_that_stores_and_reads_300_mib_stays_below_100(store):
    done = subprocess.run(
        [sys.executable, "-c", RESIDENT, str(store.location)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 100


# --- on disk -----------------------------------------------------------------------------------------


@pytest.fixture
def local(tmp_path):
    return Local(tmp_path / "objects")


def test_objects_are_read_only_files_named_by_their_digest(local):
    digest = local.objects.put_bytes(b"model")
    (file,) = local.files()
    hex_digits = digest.removeprefix("sha256:")
    assert file == local.root / "sha256" / hex_digits[:2] / hex_digits[2:]
    assert stat.S_IMODE(file.stat().st_mode) == 0o444


def test_other_files_are_not_taken_for_objects(local):
    digest = local.objects.put_bytes(b"model")
    (local.objects.path_of(digest).parent / "README").write_text("not an object")
    assert list(local.objects.digests()) == [digest]


def test_sweep_removes_what_is_old_and_spares_uploads_that_go_on(local):
    with local.objects.writer() as going_on:
        going_on.write(b"first half")
        left = local.root / "incoming" / "left-by-a-crash"
        left.write_bytes(b"half")
        old = time.time() - LEFTOVER_AGE_S - 60
        os.utime(left, (old, old))
        assert local.objects.sweep() == 1
        assert local.objects.sweep() == 0
        assert not left.exists()
        assert local.objects.verify(going_on.commit()) == len(b"first half")


def test_a_directory_that_cannot_be_made_is_refused_in_our_words(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable):
        LocalObjects(tmp_path / "file" / "objects")


def test_an_object_whose_place_is_taken_by_a_directory_is_refused(local):
    place = local.objects.path_of(digest_of(b"model"))
    place.mkdir(parents=True)
    with pytest.raises(StoreUnavailable):
        local.objects.put_bytes(b"model")
    with pytest.raises(StoreUnavailable):
        local.objects.verify(digest_of(b"model"))
