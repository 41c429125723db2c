import hashlib
import os
import socket
import threading

import pytest

from lastgood.core.manifest import FILES_MAX
from lastgood.errors import Conflict, InvalidInput, NotFound, TooLarge
from lastgood.sdk import scan
from lastgood.sdk.scan import find_files, hash_file, open_unchanged


@pytest.fixture
def model(tmp_path):
    root = tmp_path / "model"
    (root / "data").mkdir(parents=True)
    (root / "MLmodel").write_bytes(b"flavors: {}")
    (root / "data" / "weights.bin").write_bytes(b"w" * 3_000_000)
    return root


def paths(root):
    return [file.path for file in find_files(root)]


def test_finds_every_file_in_order_and_hashes_it(model):
    hashed = [hash_file(file) for file in find_files(model)]
    assert [(file.path, file.size) for file in hashed] == [
        ("MLmodel", 11),
        ("data/weights.bin", 3_000_000),
    ]
    assert hashed[0].digest == "sha256:" + hashlib.sha256(b"flavors: {}").hexdigest()
    with open_unchanged(hashed[1]) as stream:
        assert stream.read() == b"w" * 3_000_000


def test_a_single_file_is_a_model_too(model):
    assert paths(model / "MLmodel") == ["MLmodel"]


def test_links_inside_the_model_are_followed(model):
    (model / "latest.bin").symlink_to("data/weights.bin")
    (model / "copy").symlink_to("data", target_is_directory=True)
    assert paths(model) == ["MLmodel", "copy/weights.bin", "data/weights.bin", "latest.bin"]


def test_the_model_itself_may_be_a_link(model, tmp_path):
    (tmp_path / "current").symlink_to(model, target_is_directory=True)
    assert paths(tmp_path / "current") == paths(model)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "../data/../../secret"])
def test_links_that_leave_the_model_are_refused(model, target):
    (model.parent / "secret").write_text("s")
    (model / "data" / "inside").symlink_to(target)
    with pytest.raises(InvalidInput, match="outside the model"):
        find_files(model)


def test_a_link_to_a_neighbour_whose_name_begins_alike_is_refused(model):
    (model.parent / "model-other").mkdir()
    (model.parent / "model-other" / "f").write_text("x")
    (model / "link").symlink_to(model.parent / "model-other", target_is_directory=True)
    with pytest.raises(InvalidInput, match="outside the model"):
        find_files(model)


def test_links_in_circles_and_to_nothing_are_refused(model):
    (model / "data" / "up").symlink_to("..", target_is_directory=True)
    with pytest.raises(InvalidInput, match="lies in"):
        find_files(model)
    (model / "data" / "up").unlink()
    (model / "self").symlink_to("self")
    with pytest.raises(InvalidInput, match="circle"):
        find_files(model)
    (model / "self").unlink()
    (model / "gone").symlink_to("nothing")
    with pytest.raises(InvalidInput, match="to nothing"):
        find_files(model)


def test_what_is_no_regular_file_is_refused(model):
    os.mkfifo(model / "pipe")
    with pytest.raises(InvalidInput, match="no regular file"):
        find_files(model)
    (model / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(model / "s"))
        with pytest.raises(InvalidInput, match="no regular file"):
            find_files(model)


def test_missing_and_empty_are_told_apart(tmp_path):
    with pytest.raises(NotFound, match="nothing at"):
        find_files(tmp_path / "nope")
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    with pytest.raises(InvalidInput, match="holds no files"):
        find_files(tmp_path / "empty")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_unreadable_is_said_so(model):
    (model / "data" / "weights.bin").chmod(0)
    with pytest.raises(InvalidInput, match="Permission denied"):
        [hash_file(file) for file in find_files(model)]


@pytest.mark.parametrize("name", [b"\xff\xfe", b"new\nline", b"back\\slash"])
def test_names_that_no_manifest_can_hold_are_refused(model, name):
    (model / os.fsdecode(name)).write_text("x")
    with pytest.raises(InvalidInput, match="Invalid path"):
        find_files(model)


def test_too_many_files_are_refused(model, monkeypatch):
    assert FILES_MAX == 100_000
    monkeypatch.setattr(scan, "FILES_MAX", 2)
    find_files(model)
    (model / "third").write_text("x")
    with pytest.raises(TooLarge):
        find_files(model)


def test_a_file_that_grows_while_it_is_read_is_refused(model):
    found = find_files(model)[1]

    def grow(_count):
        with found.location.open("ab") as file:
            file.write(b"more")

    with pytest.raises(Conflict, match="weights"):
        hash_file(found, progress=grow)
    assert hash_file(find_files(model)[1]).size > 3_000_000  # the control: left alone it is read


def test_a_file_rewritten_between_hashing_and_sending_is_refused(model):
    hashed = hash_file(find_files(model)[1])
    hashed.location.write_bytes(b"v" * 3_000_000)
    os.utime(hashed.location, ns=(1, 1))
    with pytest.raises(Conflict, match="changed while it was read"):
        open_unchanged(hashed)


def test_a_file_replaced_by_a_fifo_does_not_block(model):
    found = find_files(model)[1]
    found.location.unlink()
    os.mkfifo(found.location)
    outcome = []

    def read():
        try:
            hash_file(found)
        except InvalidInput as error:
            outcome.append(error.message)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(10)
    assert outcome
    assert "no regular file" in outcome[0]
