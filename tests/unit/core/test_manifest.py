import hashlib
import json
from dataclasses import replace

import pytest

from lastgood.core.ids import Digest
from lastgood.core.manifest import FileEntry, Manifest, decode_manifest, parse_file_path
from lastgood.errors import IntegrityFailure, InvalidInput

D = Digest("sha256:" + "ab" * 32)
ONE = Manifest(
    files=(FileEntry(path="model.pkl", digest=D, size=3),), metrics={"auc": 0.92, "x": "NaN"}
)


def test_the_same_manifest_has_the_same_bytes_and_reads_back():
    data = ONE.encode()
    assert data == replace(ONE).encode()
    assert decode_manifest(data, digest=Digest("sha256:" + hashlib.sha256(data).hexdigest())) == ONE
    assert list(json.loads(data)) == sorted(json.loads(data)), "canonical JSON sorts its keys"


@pytest.mark.parametrize(
    "change",
    [
        {"params": {"depth": "3"}},
        {"metrics": {"auc": 0.93, "x": "NaN"}},
        {"tags": {"a": "b"}},
        {"signature": "{}"},
        {"files": (FileEntry(path="model.pkl", digest=D, size=4),)},
    ],
)
def test_any_difference_changes_the_bytes(change):
    assert replace(ONE, **change).encode() != ONE.encode()


@pytest.mark.parametrize(
    "files",
    [
        (),
        (FileEntry(path="a", digest=D, size=1), FileEntry(path="a", digest=D, size=1)),
        (FileEntry(path="../a", digest=D, size=1),),
        (FileEntry(path="a", digest=Digest("sha256:xyz"), size=1),),
        (FileEntry(path="a", digest=D, size=-1),),
    ],
)
def test_impossible_files_are_refused(files):
    with pytest.raises(InvalidInput):
        Manifest(files=files).encode()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "a/../b",
        "./a",
        "a//b",
        "a/",
        "a\\b",
        "C:/x",
        "a\x00",
        "a\n",
        ".",
        "\ud800",
        "x" * 2000,
    ],
)
def test_unsafe_paths_are_refused(path):
    with pytest.raises(InvalidInput, match="Invalid path"):
        parse_file_path(path)


@pytest.mark.parametrize("path", ["a", "a/b.c", "with space/ü", "-dash", "...", "a..b"])
def test_ordinary_paths_are_taken(path):
    assert parse_file_path(path) == path


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"files": 3}', b"\xff"])
def test_what_is_no_manifest_is_refused(data):
    with pytest.raises(IntegrityFailure):
        decode_manifest(data, digest=D)


def test_a_newer_schema_is_refused_with_the_way_out():
    data = ONE.encode().replace(b'"schema":1', b'"schema":2')
    with pytest.raises(IntegrityFailure) as refusal:
        decode_manifest(data, digest=D)
    assert "upgrade" in refusal.value.hint
