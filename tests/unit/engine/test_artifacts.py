"""The artifact tree: mutable files of runs, frozen files of versions, and paths that must not escape."""

import hashlib
import itertools
import os
import posixpath
from urllib.parse import quote, unquote

import pytest

from lastgood.core.commands import Caller, Register
from lastgood.core.ids import hex_of
from lastgood.core.manifest import Manifest
from lastgood.core.operations import Actor
from lastgood.engine.artifacts import (
    AT_HAND_SIZE_MAX,
    FROZEN,
    Artifacts,
    Listed,
    folder_of_uri,
    parse_artifact_path,
)
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.errors import IntegrityFailure, InvalidInput, NotFound, Protected

RUN = "0/run/artifacts"


@pytest.fixture
def engine(tmp_path):
    init_data_directory(tmp_path / "data")
    with open_engine(tmp_path / "data") as engine:
        yield engine


@pytest.fixture
def artifacts(engine):
    return Artifacts(engine.kernel)


def put(artifacts, path, data=b"data"):
    with artifacts.open_writer(path) as writer:
        writer.write(data)
        return writer.commit().result()


def content(artifacts, path):
    return b"".join(artifacts.read(artifacts.file(path)))


def freeze(engine, artifacts, where):
    return engine.kernel.database.read(lambda c: artifacts.freeze(c, where))


def register(engine, artifacts, where, model="churn"):
    files = freeze(engine, artifacts, where)
    command = Register(model=model, manifest=Manifest(files=files))
    outcome = engine.registry.register(command, caller=Caller(actor=Actor(name="ann")))
    return next(v.digest for v in engine.registry.versions(model)), outcome


def incoming(engine):
    return list((engine.data / "objects" / "incoming").iterdir())


def test_a_file_is_stored_listed_read_replaced_and_deleted(artifacts):
    put(artifacts, f"{RUN}/model/a.txt", b"one")
    put(artifacts, f"{RUN}/model/a.txt", b"two, longer")
    assert content(artifacts, f"{RUN}/model/a.txt") == b"two, longer"
    assert artifacts.list(f"{RUN}/model") == (Listed("a.txt", is_folder=False, size=11),)
    assert artifacts.delete(f"{RUN}/model/a.txt").result() == 1
    assert artifacts.delete(f"{RUN}/model/a.txt").result() == 0
    with pytest.raises(NotFound, match="does not exist"):
        artifacts.file(f"{RUN}/model/a.txt")


def test_listing_shows_one_level_in_order(artifacts):
    for path in ("b/x", "b-2/y/z", "b.d/q", "b", "a/deep/er/f", "c d/e", "é/f", "b0/x"):
        if path != "b":
            put(artifacts, f"{RUN}/{path}")
    put(artifacts, f"{RUN}/zfile")
    names = [(entry.name, entry.is_folder) for entry in artifacts.list(RUN)]
    assert names == sorted(
        [(n, True) for n in ("a", "b", "b-2", "b.d", "b0", "c d", "é")] + [("zfile", False)]
    )
    assert [e.name for e in artifacts.list("")] == ["0"]
    assert artifacts.list(f"{RUN}/nothing") == ()
    assert artifacts.list(f"{RUN}/zfile") == ()


def test_deleting_a_folder_takes_only_what_is_in_it(artifacts):
    for path in ("m/a", "m/b/c", "m-2/a", "m.txt", "m0"):
        put(artifacts, f"{RUN}/{path}")
    assert artifacts.delete(f"{RUN}/m").result() == 2
    assert [e.name for e in artifacts.list(RUN)] == ["m-2", "m.txt", "m0"]


def test_a_path_is_a_file_or_a_folder(artifacts):
    put(artifacts, f"{RUN}/m/a")
    for path in (f"{RUN}/m", f"{RUN}/m/a/b", RUN):
        with pytest.raises(InvalidInput, match="Invalid path"):
            put(artifacts, path)
    with pytest.raises(InvalidInput, match="is a directory"):
        artifacts.file(f"{RUN}/m")


def test_an_upload_that_stops_leaves_nothing(engine, artifacts):
    def stopped():
        with artifacts.open_writer(f"{RUN}/a") as writer:
            writer.write(b"half of it")
            seen.extend(incoming(engine))
            raise ConnectionError

    seen = []
    with pytest.raises(ConnectionError):
        stopped()
    assert seen  # control: there was something to leave behind
    assert incoming(engine) == []
    assert artifacts.list("") == ()


def test_freezing_lists_files_relative_to_the_folder(engine, artifacts):
    put(artifacts, f"{RUN}/m/MLmodel", b"x")
    put(artifacts, f"{RUN}/m/data/model.pkl", b"y")
    put(artifacts, f"{RUN}/m2/other")
    for where in (
        f"mlflow-artifacts:/{RUN}/m",
        f"mlflow-artifacts://host:5000/{RUN}/m/",
        f"{RUN}/m",
    ):
        entries = freeze(engine, artifacts, where)
        assert [(e.path, e.size) for e in entries] == [("MLmodel", 1), ("data/model.pkl", 1)]
        assert entries[0].digest == "sha256:" + hashlib.sha256(b"x").hexdigest()
    assert [e.path for e in freeze(engine, artifacts, f"{RUN}/m/MLmodel")] == ["MLmodel"]
    with pytest.raises(NotFound):
        freeze(engine, artifacts, f"{RUN}/nothing")
    for wrong in (
        "s3://bucket/model",
        "mlflow-artifacts:/../x",
        "mlflow-artifacts:/a?b=c",
        "file:///etc",
    ):
        with pytest.raises(InvalidInput):
            freeze(engine, artifacts, wrong)


def test_a_version_is_served_from_its_manifest_whatever_the_run_does(engine, artifacts):
    put(artifacts, f"{RUN}/m/MLmodel", b"registered")
    put(artifacts, f"{RUN}/m/data/model.pkl", b"weights")
    digest, _ = register(engine, artifacts, f"{RUN}/m")
    frozen = digest.replace(":", "/")
    put(artifacts, f"{RUN}/m/MLmodel", b"overwritten")
    assert content(artifacts, f"{RUN}/m/MLmodel") == b"overwritten"  # control: runs stay mutable
    artifacts.delete(f"{RUN}/m/data").result()
    assert content(artifacts, f"{frozen}/MLmodel") == b"registered"
    assert content(artifacts, f"{frozen}/data/model.pkl") == b"weights"
    assert artifacts.list(frozen) == (
        Listed("MLmodel", is_folder=False, size=10),
        Listed("data", is_folder=True),
    )
    assert artifacts.list(f"{frozen}/data") == (Listed("model.pkl", is_folder=False, size=7),)
    assert [e.path for e in freeze(engine, artifacts, f"mlflow-artifacts:/{frozen}")] == [
        "MLmodel",
        "data/model.pkl",
    ]
    assert [e.path for e in freeze(engine, artifacts, f"mlflow-artifacts:/{frozen}/data")] == [
        "model.pkl"
    ]
    with pytest.raises(InvalidInput, match="is a directory"):
        artifacts.file(f"{frozen}/data")
    with pytest.raises(NotFound):
        artifacts.file(f"{frozen}/other")


@pytest.mark.parametrize(
    "path", ["sha256", "sha256/x", "sha256/" + "0" * 64, "sha256/" + "0" * 64 + "/MLmodel"]
)
def test_nothing_is_written_or_deleted_in_the_frozen_tree(artifacts, path):
    with pytest.raises(Protected):
        artifacts.open_writer(path)
    with pytest.raises(Protected):
        artifacts.delete(path)


def test_an_upload_cannot_pose_as_a_version(engine, artifacts):
    """Whoever uploads a manifest's bytes does not thereby get to read the objects that it names."""
    put(artifacts, f"{RUN}/secret", b"secret")
    manifest = Manifest(files=freeze(engine, artifacts, f"{RUN}/secret")).encode()
    stored = put(artifacts, "1/forged", manifest)
    forged = stored.digest.replace(":", "/")
    assert artifacts.list(forged) == ()
    with pytest.raises(NotFound):
        artifacts.file(f"{forged}/secret")
    with pytest.raises(NotFound):
        freeze(engine, artifacts, forged)
    register(engine, artifacts, f"{RUN}/secret")  # control: the same manifest, registered
    assert content(artifacts, f"{forged}/secret") == b"secret"


def test_damaged_bytes_are_not_handed_out(engine, artifacts):
    stored = put(artifacts, f"{RUN}/a", b"x" * 3_000_000)
    place = engine.kernel.objects.path_of(stored.digest)
    place.chmod(0o644)
    place.write_bytes(b"y" + b"x" * 2_999_999)
    with pytest.raises(IntegrityFailure):
        content(artifacts, f"{RUN}/a")
    with pytest.raises(IntegrityFailure):
        artifacts.read(stored, start=1_000_000, end=1_000_001)


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="the system cannot read without waiting")
def test_a_small_file_that_is_sound_is_at_hand(engine, artifacts):
    small = put(artifacts, f"{RUN}/a", b"x" * AT_HAND_SIZE_MAX)
    put(artifacts, f"{RUN}/b", b"x" * (AT_HAND_SIZE_MAX + 1))
    assert artifacts.at_hand(f"{RUN}/a") == (small, b"x" * AT_HAND_SIZE_MAX)
    for path in (f"{RUN}/b", RUN, f"{RUN}/absent", f"{FROZEN}/{hex_of(small.digest)}"):
        assert artifacts.at_hand(path) is None
    place = engine.kernel.objects.path_of(small.digest)
    place.chmod(0o644)
    place.write_bytes(b"y" * AT_HAND_SIZE_MAX)
    assert artifacts.at_hand(f"{RUN}/a") is None


def test_parts_of_a_file(artifacts):
    stored = put(artifacts, f"{RUN}/a", b"0123456789")
    assert b"".join(artifacts.read(stored, start=2, end=5)) == b"234"


# --- paths ----------------------------------------------------------------------------------------

_ESCAPES = [
    "../secret",
    "a/../../secret",
    "..",
    "a/b/../../../secret",
    "./../secret",
    "/etc/passwd",
    "//etc/passwd",
]
_WINDOWS = [
    "..\\secret",
    "a\\..\\..\\secret",
    "C:\\secret",
    "C:/secret",
    "c:secret",
    "\\\\host\\share",
    "\\secret",
]
_ODD = [
    "a//b",
    "/",
    "a/./b",
    ".",
    "a#b",
    "#",
    "a/b/..",
    "a\x00b",
    "a\nb",
    "\x7f",
    "a\u2028b",
    "file:///etc/passwd",
]
_LOOKALIKES = [
    "\uff0e\uff0e/secret",
    "\u2025/secret",
    "a/\uff0e\uff0e/\uff0e\uff0e/secret",
    "..\uff0fsecret",
    "\uff0e\uff0e\uff3csecret",
]


def _encodings(path):
    every = "".join(f"%{byte:02x}" for byte in path.encode("utf-8"))
    dots = path.replace(".", "%2e").replace("/", "%2f").replace("\\", "%5c").replace("#", "%23")
    return {
        path,
        quote(path, safe=""),
        quote(quote(path, safe=""), safe=""),
        quote(quote(quote(path, safe=""), safe=""), safe=""),
        dots,
        dots.upper().replace("%2E", "%2e"),
        quote(dots, safe=""),
        every,
        quote(every, safe=""),
        "a/" + quote("../" + path, safe="/"),
        "0/run/artifacts/" + "../" * 4 + path,
    }


CORPUS = sorted(
    set(
        itertools.chain.from_iterable(
            _encodings(p) for p in _ESCAPES + _WINDOWS + _ODD + _LOOKALIKES
        )
    )
    | {
        "%",
        "%00",
        "a%00",
        "%ff/..",
        "%c0%ae%c0%ae/x",
        "%2" * 9,
        "a%",
        "x" * 2049,
        "%25" * 20 + "2e",
    }
    | {"%" + "25" * n + "2e" + "%" + "25" * n + "2e/x" for n in range(12)}
)


def _escapes(path):
    """Whether some system, at some level of decoding, would read the path as one outside the root."""
    for _ in range(16):
        plain = (
            path.replace("\\", "/")
            .replace("\uff0e", ".")
            .replace("\uff0f", "/")
            .replace("\uff3c", "/")
            .replace("\u2025", "..")
        )
        if plain.startswith("/") or plain[1:2] == ":" or posixpath.normpath(plain).startswith(".."):
            return True
        decoded = unquote(path)
        if decoded == path:
            return False
        path = decoded
    return True


def test_no_path_of_the_corpus_escapes():
    assert len(CORPUS) > 300
    accepted, messages = [], set()
    for path in CORPUS:
        try:
            accepted.append(parse_artifact_path(path))
        except InvalidInput as error:
            messages.add(error.message)
    assert messages == {"Invalid path"}
    assert [path for path in accepted if _escapes(path)] == []
    for path in accepted:
        assert path == unquote(path) or any(ord(c) < 32 or ord(c) == 127 for c in unquote(path))
        parts = path.split("/")
        assert path == "" or (".." not in parts and "" not in parts and "\\" not in path)


def test_without_the_check_the_corpus_escapes():
    """The control: were paths only decoded once, many of them would lead outside."""
    assert sum(_escapes(unquote(path)) for path in CORPUS) > 100


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "a/b.txt",
        "model/MLmodel",
        "a b/c",
        "é/ü",
        "...",
        "a..b",
        "..a",
        "a/.hidden",
        "模型/x",
        "100%",
        "ab:c",
        "50%25",
        "…",
        "n=1,m=2",
    ],
)
def test_honest_paths_pass(path):
    assert parse_artifact_path(path) == unquote(path)
    assert parse_artifact_path(quote(path)) == unquote(path)


@pytest.mark.parametrize("name", ["a%17b", "%00", "%0A", "x%7f", "100%00%1795"])
def test_what_would_decode_to_a_control_character_stays_text(name):
    assert parse_artifact_path(name) == name
    assert parse_artifact_path(quote(name)) == name
    assert parse_artifact_path(quote(quote(name))) == name


def test_a_trailing_slash_and_the_root():
    assert parse_artifact_path("a/b/") == "a/b"
    assert parse_artifact_path("") == ""


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("mlflow-artifacts:/0/r", "0/r"),
        ("mlflow-artifacts://h:1/0/r", "0/r"),
        ("s3://b/x", None),
        ("x", None),
        ("http://[", None),
    ],
)
def test_uris(uri, path):
    assert folder_of_uri(uri) == path
