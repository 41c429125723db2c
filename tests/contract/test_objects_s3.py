"""A real S3 server that is far, slow, forbidding or gone, and a registry that keeps its objects there."""

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
import uuid
from contextlib import contextmanager, suppress

import obstore
import pytest

from contract.object_stores import BUCKET, KEY, SECRET, environment
from contract.registry_doors import running_server
from lastgood.cas.port import CHUNK_SIZE
from lastgood.cas.remote_writer import PART_SIZE
from lastgood.cas.select import open_objects
from lastgood.core.ids import digest_of_hex
from lastgood.engine.open import init_data_directory
from lastgood.errors import InvalidInput, StoreUnavailable

LARGE = bytes(range(256)) * (10 * PART_SIZE // 1024)  # two and a half parts
ABSENT = digest_of_hex("0" * 64)


class Line:
    """A TCP line to the S3 server that counts what comes back, and can break."""

    def __init__(self, port):
        self.port = port
        self.received = 0
        self.connections = 0
        self.break_after = None  # bytes of an answer, once
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        hang_up(self._listener)  # closing alone would not wake the thread that waits

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, True), daemon=True).start()

    def _pump(self, source, target, back):
        try:
            while data := source.recv(65536):
                if back:
                    self.received += len(data)
                    if self.break_after is not None and self.received >= self.break_after:
                        self.break_after = None
                        break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            hang_up(end)


def hang_up(end):
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@pytest.fixture
def line(s3_endpoint, monkeypatch):
    line = Line(int(s3_endpoint.rpartition(":")[2]))
    for name, value in environment(line.endpoint).items():
        monkeypatch.setenv(name, value)
    yield line
    line.close()


@pytest.fixture
def place():
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


# --- traffic and broken lines ------------------------------------------------------------------------


def test_a_part_is_fetched_alone_once_the_whole_was_verified(line, place):
    objects = open_objects(place)
    digest = objects.put_bytes(LARGE)
    assert b"".join(objects.read(digest, start=5, end=10)) == LARGE[5:10]
    assert line.received > len(LARGE)  # the control: the first part costs the whole
    before = line.received
    for start in (0, PART_SIZE - 1, len(LARGE) - 3):
        assert (
            b"".join(objects.read(digest, start=start, end=start + 3)) == LARGE[start : start + 3]
        )
    assert line.received - before < CHUNK_SIZE


def test_an_upload_passes_the_line_once(line, place):
    objects = open_objects(place)
    before = line.received
    objects.put_bytes(LARGE)
    assert line.received - before < CHUNK_SIZE  # the copy to the final name stays inside the store


@pytest.mark.parametrize("after", [1, 100_000, len(LARGE) - 100_000])
def test_a_line_that_breaks_is_tried_again(line, place, after):
    objects = open_objects(place)
    digest = objects.put_bytes(LARGE)
    line.break_after = line.received + after
    assert b"".join(objects.read(digest)) == LARGE
    assert line.break_after is None  # the control: it did break


def test_a_line_that_breaks_during_an_upload_is_tried_again(line, place):
    objects = open_objects(place)
    line.break_after = line.received + 1
    digest = objects.put_bytes(LARGE)
    assert line.break_after is None
    assert objects.verify(digest) == len(LARGE)


# --- refusals ------------------------------------------------------------------------------------------


@contextmanager
def refused(words, kind=StoreUnavailable):
    with pytest.raises(kind) as caught:
        yield
    error = caught.value
    assert words in error.message
    assert error.hint
    for secret in (SECRET, KEY, "wrong-secret", "Signature="):
        assert secret not in f"{error.message} {error.hint}"
    assert error.__suppress_context__ or error.__context__ is None


def ways(objects):
    """Every way to the store, by name."""
    return {
        "put": lambda: objects.put_bytes(b"model"),
        "put large": lambda: objects.put_bytes(LARGE),
        "has": lambda: objects.has(ABSENT),
        "size": lambda: objects.size(ABSENT),
        "read": lambda: list(objects.read(ABSENT)),
        "read part": lambda: list(objects.read(ABSENT, start=1)),
        "read bytes": lambda: objects.read_bytes(ABSENT, size_max=10),
        "verify": lambda: objects.verify(ABSENT),
        "digests": lambda: list(objects.digests()),
        "check": objects.check,
    }


@pytest.mark.parametrize("way", ways(open_objects("s3://bucket")))
def test_wrong_credentials_are_named_but_not_shown(s3_endpoint, monkeypatch, place, way):
    for name, value in environment(s3_endpoint, secret="wrong-secret").items():
        monkeypatch.setenv(name, value)
    with refused("access denied (403"):
        ways(open_objects(place))[way]()


@pytest.mark.parametrize("way", ["put", "put large", "digests", "check", "read"])
def test_a_bucket_that_is_not_there(line, way):
    with refused("bucket"):
        ways(open_objects("s3://no-such-bucket/a"))[way]()


def test_plain_http_must_be_allowed(line, monkeypatch, place):
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with refused("plain http is not allowed"):
        open_objects(place).put_bytes(b"model")


@pytest.mark.parametrize("way", ["put", "has", "read"])
def test_a_server_that_is_gone(line, place, way):
    objects = open_objects(place)
    line.close()
    with refused("cannot be reached"):
        ways(objects)[way]()


# --- a registry whose objects are there --------------------------------------------------------------


@pytest.fixture
def command(tmp_path, s3_store):
    def run(*arguments, code=0):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LASTGOOD_")}
        done = subprocess.run(
            [sys.executable, "-m", "lastgood", "--json", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=kept | {"LASTGOOD_ACTOR": "ana"},
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {sklearn: {}}\n")
    (folder / "weights.bin").write_bytes(LARGE)
    return folder


def test_every_command_finds_the_objects_where_init_put_them(command, model, s3_store, tmp_path):
    command("init", "--objects", s3_store.location)
    assert not (tmp_path / ".lastgood" / "objects").exists()
    command("register", model, "--name", "churn")
    command("promote", "churn/1", "--to", "production", "--reason", "first")
    report = command("fsck")
    assert (report["objects"], report["problems"]) == (3, [])  # two files and the manifest
    assert len(s3_store.files()) == 3


def test_damage_in_the_bucket_is_found_and_not_promoted(command, model, s3_store):
    command("init", "--objects", s3_store.location)
    command("register", model, "--name", "churn")
    weights = next(d for d in s3_store.objects.digests() if s3_store.objects.size(d) == len(LARGE))
    s3_store.alter(weights, lambda data: data.__setitem__(7, data[7] ^ 1))
    answer = command("promote", "churn/1", "--to", "production", "--reason", "x", code=6)
    assert "weights.bin is damaged" in answer["error"]["message"]
    (problem,) = command("fsck", code=6)["problems"]
    assert problem["subject"] == weights


def test_a_server_keeps_artifacts_in_the_bucket(command, s3_store, tmp_path):
    init_data_directory(tmp_path / "data", objects_url=s3_store.location)
    with running_server(tmp_path / "data") as url:
        file = f"{url}/api/2.0/mlflow-artifacts/artifacts/0/run/artifacts/weights.bin"
        with urllib.request.urlopen(urllib.request.Request(file, data=LARGE, method="PUT")) as done:
            assert done.status == 200
        with urllib.request.urlopen(file) as whole:
            assert whole.read() == LARGE
        part = urllib.request.Request(file, headers={"Range": "bytes=9-19"})
        with urllib.request.urlopen(part) as answer:
            assert (answer.status, answer.read()) == (206, LARGE[9:20])
    assert len(s3_store.files()) == 1


def test_an_upload_to_a_server_that_stops_halfway_leaves_nothing(s3_store, tmp_path):
    init_data_directory(tmp_path / "data", objects_url=s3_store.location)
    with running_server(tmp_path / "data") as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(
                b"PUT /api/2.0/mlflow-artifacts/artifacts/0/run/artifacts/weights.bin HTTP/1.1\r\n"
                b"Host: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % (len(LARGE) + 1) + LARGE
            )
    # The server has stopped, so whatever it was going to do is done.
    assert s3_store.files() == []


@pytest.mark.parametrize("wrong", ["credentials", "bucket", "url"])
def test_init_checks_the_place_before_it_makes_anything(s3_store, tmp_path, monkeypatch, wrong):
    url = s3_store.location
    if wrong == "credentials":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    elif wrong == "bucket":
        url = "s3://no-such-bucket/a"
    else:
        url = "ftp://somewhere"
    with pytest.raises((StoreUnavailable, InvalidInput)):
        init_data_directory(tmp_path / "data", objects_url=url)
    assert not (tmp_path / "data").exists()
    assert init_data_directory(tmp_path / "data")  # the control: nothing else was in the way


def test_objects_in_a_bucket_are_the_files_of_a_directory(s3_store, tmp_path):
    """Copying moves a registry: names and bytes are the same in both."""
    here = open_objects(tmp_path / "objects")
    digests = [here.put_bytes(b"%d" % n) for n in range(3)]
    for digest in digests:
        obstore.put(
            s3_store.bucket,
            str(here.path_of(digest).relative_to(tmp_path / "objects")),
            here.path_of(digest),
        )
    assert list(s3_store.objects.digests()) == sorted(digests)
    for digest in digests:
        s3_store.objects.verify(digest)


UPLOAD_AND_DIE = """
import os, signal, sys
from lastgood.cas import remote_writer
from lastgood.cas.select import open_objects

die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "before the copy":
    remote_writer.RemoteWriter._publish = die
with open_objects(sys.argv[1]).writer() as writer:
    writer.write(bytes(20 * 2**20))
    if sys.argv[2] == "in the middle":
        die()
    writer.commit()
"""


@pytest.mark.parametrize("moment", ["in the middle", "before the copy", "never"])
def test_a_process_that_dies_while_it_uploads_leaves_no_object(s3_store, moment):
    command = [sys.executable, "-c", UPLOAD_AND_DIE, s3_store.location, moment]
    died = subprocess.run(command, check=False).returncode
    stored = list(s3_store.objects.digests())
    assert (died, len(stored)) == ((0, 1) if moment == "never" else (-9, 0))  # never: the control
    digest = s3_store.objects.put_bytes(bytes(20 * 2**20))  # what was left is in nobody's way
    assert s3_store.objects.verify(digest) == 20 * 2**20


def test_a_server_with_a_place_that_it_may_not_use_does_not_start(command, s3_store, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    answer = command("server", "--port", "0", "--objects", s3_store.location, code=1)
    assert "access denied" in answer["error"]["message"]
