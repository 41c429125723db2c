"""Files in parts: nothing shows before all of it is there, and nothing remains of what was given up."""

import hashlib
import os
import threading
import time

import pytest

from lastgood.engine.artifacts import Artifacts
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.engine.uploads import UPLOAD_TTL_S, Part, Uploads
from lastgood.errors import Conflict, InvalidInput, NotFound, NotSupported, Protected

PATH = "0/run/artifacts/model.bin"
DATA = [b"a" * 1_500_000, b"b" * 1_500_000, b"c"]


class Clock:
    now_ms = 1_000_000

    def __call__(self):
        return self.now_ms


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine(tmp_path, clock):
    init_data_directory(tmp_path / "data")
    with open_engine(tmp_path / "data", clock=clock) as engine:
        yield engine


@pytest.fixture
def artifacts(engine):
    return Artifacts(engine.kernel)


@pytest.fixture
def uploads(engine, artifacts):
    return Uploads(engine.kernel, artifacts)


def send(uploads, upload, number, data, path=PATH):
    with uploads.part_writer(upload, number, path=path) as writer:
        writer.write(data)
        return Part(number, writer.commit())


def send_all(uploads, path=PATH):
    upload = uploads.begin(path, parts=len(DATA)).id
    return upload, [send(uploads, upload, n, data, path) for n, data in enumerate(DATA, 1)]


def incoming(engine):
    return list((engine.data / "objects/incoming").iterdir())


def test_parts_become_a_file_in_one_step(engine, artifacts, uploads):
    upload, parts = send_all(uploads)
    with pytest.raises(NotFound):
        artifacts.file(PATH)
    assert len(incoming(engine)) == 3
    stored = uploads.complete(upload, path=PATH, parts=parts)
    assert stored.digest == "sha256:" + hashlib.sha256(b"".join(DATA)).hexdigest()
    assert artifacts.file(PATH) == stored
    assert b"".join(artifacts.read(stored)) == b"".join(DATA)
    assert incoming(engine) == []


def test_completing_again_has_the_same_outcome(engine, artifacts, uploads):
    upload, parts = send_all(uploads)
    first = uploads.complete(upload, path=PATH, parts=parts)
    assert uploads.complete(upload, path=PATH, parts=parts) == first
    artifacts.delete(PATH).result()
    uploads.complete(upload, path=PATH, parts=parts)
    with pytest.raises(NotFound):  # what came later is not undone
        artifacts.file(PATH)


def test_completing_at_once_by_many_is_done_once(uploads, artifacts):
    upload, parts = send_all(uploads)
    outcomes = []

    def complete():
        try:
            outcomes.append(uploads.complete(upload, path=PATH, parts=parts))
        except Exception as error:
            outcomes.append(error)

    threads = [threading.Thread(target=complete) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [artifacts.file(PATH)] * 6


def test_a_part_sent_again_replaces_the_first(uploads, artifacts):
    upload, parts = send_all(uploads)
    old, parts[0] = parts[0], send(uploads, upload, 1, b"other")
    with pytest.raises(Conflict):
        uploads.complete(upload, path=PATH, parts=[old, *parts[1:]])
    uploads.complete(upload, path=PATH, parts=parts)
    assert b"".join(artifacts.read(artifacts.file(PATH))) == b"other" + DATA[1] + DATA[2]


def test_a_part_that_was_torn_is_refused(engine, uploads, artifacts):
    """As a power cut can leave it: the parts are not synced."""
    upload, parts = send_all(uploads)
    part = engine.data / "objects/incoming" / f"{upload}.2"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(Conflict, match="Part 2"):
        uploads.complete(upload, path=PATH, parts=parts)
    part.unlink()
    with pytest.raises(NotFound, match="Part 2"):
        uploads.complete(upload, path=PATH, parts=parts)
    with pytest.raises(NotFound):
        artifacts.file(PATH)
    parts[1] = send(
        uploads, upload, 2, DATA[1]
    )  # it goes on from there: only that part is sent again
    uploads.complete(upload, path=PATH, parts=parts)


@pytest.mark.parametrize(
    "choose",
    [
        lambda parts: parts[:-1],
        lambda parts: parts[1:],
        lambda parts: parts[::-1],
        lambda parts: [*parts, parts[-1]],
        lambda _: [],
    ],
)
def test_all_parts_must_be_named_in_order(uploads, choose):
    upload, parts = send_all(uploads)
    with pytest.raises(InvalidInput, match="All parts"):
        uploads.complete(upload, path=PATH, parts=choose(parts))


def test_an_upload_belongs_to_its_path(uploads):
    """CVE-2026-2651: whoever knows the id of an upload could write elsewhere with it."""
    upload, parts = send_all(uploads)
    for act in (
        lambda: uploads.part_writer(upload, 1, path="0/other"),
        lambda: uploads.complete(upload, path="0/other", parts=parts),
        lambda: uploads.abort(upload, path="0/other"),
        lambda: uploads.part_writer("0" * 32, 1, path=PATH),
        lambda: uploads.complete("*", path=PATH, parts=parts),
        lambda: uploads.abort("", path=PATH),
    ):
        with pytest.raises(NotFound):
            act()
    uploads.complete(upload, path=PATH, parts=parts)  # control


def test_an_upload_given_up_leaves_nothing(engine, uploads, artifacts):
    upload, parts = send_all(uploads)
    uploads.abort(upload, path=PATH)
    assert incoming(engine) == []
    for act in (
        lambda: uploads.complete(upload, path=PATH, parts=parts),
        lambda: uploads.abort(upload, path=PATH),
        lambda: send(uploads, upload, 1, b"x"),
    ):
        with pytest.raises(NotFound):
            act()
    assert artifacts.list("") == ()


def test_an_upload_whose_time_is_over_is_swept(engine, uploads, clock):
    upload, parts = send_all(uploads)
    assert uploads.sweep() == 0
    clock.now_ms += int(UPLOAD_TTL_S * 1000) + 1
    with pytest.raises(NotFound):
        uploads.complete(upload, path=PATH, parts=parts)
    assert len(incoming(engine)) == 3  # control
    assert uploads.sweep() == 1
    assert incoming(engine) == []
    assert uploads.sweep() == 0


def test_what_a_dead_process_left_is_swept(engine, uploads):
    left = engine.data / "objects/incoming/tmpdead"
    left.write_bytes(b"half")
    os.utime(left, (time.time() - 2 * UPLOAD_TTL_S,) * 2)
    assert uploads.sweep() == 1
    assert incoming(engine) == []


@pytest.mark.parametrize("parts", [0, -1, 10_001, 2**40])
def test_the_number_of_parts_is_limited(uploads, parts):
    with pytest.raises(InvalidInput, match="1 to 10,000 parts"):
        uploads.begin(PATH, parts=parts)


def test_parts_have_the_numbers_that_were_announced(uploads):
    upload = uploads.begin(PATH, parts=2).id
    for number in (0, 3):
        with pytest.raises(InvalidInput):
            uploads.part_writer(upload, number, path=PATH)


def test_where_nothing_is_written_no_upload_begins(uploads):
    with pytest.raises(Protected):
        uploads.begin("sha256/x", parts=1)
    with pytest.raises(InvalidInput):
        uploads.begin("", parts=1)


def test_a_file_where_a_folder_is_is_refused_when_it_is_complete(uploads):
    send_all(uploads, "0/a/b")
    upload, parts = send_all(uploads, "0/a/b")
    uploads.complete(upload, path="0/a/b", parts=parts)
    upload, parts = send_all(uploads, "0/a")
    with pytest.raises(InvalidInput, match="cannot be a file"):
        uploads.complete(upload, path="0/a", parts=parts)


def test_files_on_local_disk_have_no_address(uploads, artifacts):
    upload, parts = send_all(uploads)
    stored = uploads.complete(upload, path=PATH, parts=parts)
    assert not uploads.are_direct()
    with pytest.raises(NotSupported):
        uploads.address(stored)
