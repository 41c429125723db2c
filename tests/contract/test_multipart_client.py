"""Large files of MLflow's real clients, in parts: through the server to local disk, straight to S3 and Azure."""

import http.client
import json
import os
import sqlite3
import subprocess
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import obstore
import pytest

from contract.registry_doors import running_server
from lastgood.engine.open import init_data_directory

ROOT = Path(__file__).parents[2]
CLIENTS = {"mlflow3": ROOT / ".venv/bin/python", "mlflow2": ROOT / ".venv-mlflow2/bin/python"}
SCRIPT_TIMEOUT_S = 280.0
MIB = 1 << 20
API = "/api/2.0/mlflow-artifacts"


class Place:
    """A running server, and what lies in its objects."""

    def __init__(self, url, data, bucket):
        self.url = url
        self.data = data
        self._bucket = bucket

    @property
    def direct(self):
        return self._bucket is not None

    def incoming(self):
        if self._bucket is not None:
            return [m["path"] for m in obstore.list(self._bucket, "incoming").collect()]
        return [file.name for file in (self.data / "objects/incoming").iterdir()]

    def objects(self):
        if self._bucket is not None:
            found = obstore.list(self._bucket, "sha256").collect()
            return {m["path"].removeprefix("sha256/").replace("/", "") for m in found}
        found = (self.data / "objects/sha256").glob("*/*")
        return {file.parent.name + file.name for file in found}

    def completed_uploads(self):
        with closing(sqlite3.connect(self.data / "lastgood.db")) as database:
            return database.execute(
                "SELECT count(*) FROM uploads WHERE digest IS NOT NULL"
            ).fetchone()[0]

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


@pytest.fixture(params=["local disk", "s3", pytest.param("azure", marks=pytest.mark.nightly)])
def place(request, tmp_path):
    data, bucket, where = tmp_path / "data", None, ""
    if request.param != "local disk":
        store = request.getfixturevalue(f"{request.param}_store")
        bucket, where = store.bucket, store.location
    init_data_directory(data, objects_url=where)
    with running_server(data) as url:
        yield Place(url, data, bucket)


def run_client(python, place, size, tmp_path, **settings):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        "PYTHONWARNINGS": "ignore",
        **settings,
    }
    done = subprocess.run(
        [python, Path(__file__).with_name("multipart_script.py"), place.url, str(size)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SCRIPT_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    up, down = done.stdout.split()
    assert up == down
    return up, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("client", sorted(CLIENTS))
@pytest.mark.parametrize("size", [33 * MIB, pytest.param(400 * MIB, marks=pytest.mark.nightly)])
def test_a_large_file_of_a_real_client(place, client, size, tmp_path):
    digest, said = run_client(
        CLIENTS[client],
        place,
        size,
        tmp_path,
        MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true",
        MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD="true",
        MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE=str(MIB),
        MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE=str(8 * MIB),
    )
    assert place.completed_uploads() == 1  # it did go in parts
    assert digest in place.objects()
    assert place.incoming() == []
    if client == "mlflow3":  # local disk has no addresses: the client says that it goes on without
        assert ("Falling back" in said) == (not place.direct)


@pytest.mark.slow
def test_a_client_that_asks_the_server_goes_the_way_it_gains_by(place, tmp_path):
    run_client(
        CLIENTS["mlflow3"],
        place,
        12 * MIB,
        tmp_path,
        MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE=str(MIB),
    )
    assert place.completed_uploads() == int(place.direct)
    _, info = place.call("GET", "/api/3.0/mlflow/server-info")
    assert info["multipart_uploads_enabled"] is place.direct
    assert info["multipart_downloads_enabled"] is place.direct


def put(credential, data):
    """Send a part as the server says; its entity tag."""
    address = urlsplit(credential["url"])
    with closing(http.client.HTTPConnection(address.netloc, timeout=60)) as connection:
        target = f"{address.path}?{address.query}"
        connection.request("PUT", target, body=data, headers=credential["headers"])
        response = connection.getresponse()
        said = response.read()
        assert response.status in {200, 201}, said
        return response.headers["ETag"]


def begin(place, parts=2):
    status, begun = place.call(
        "POST", f"{API}/mpu/create/0/r/artifacts", {"path": "m", "num_parts": parts}
    )
    assert status == 200, begun
    return begun["upload_id"], begun["credentials"]


def test_an_upload_given_up_leaves_nothing(place):
    upload, (first, _) = begin(place)
    put(first, b"x" * MIB)
    assert place.incoming() != []  # control
    body = {"path": "m", "upload_id": upload}
    assert place.call("POST", f"{API}/mpu/abort/0/r/artifacts", body) == (200, {})
    assert place.incoming() == []
    assert place.objects() == set()


def test_a_part_that_is_replaced_or_missing_is_noticed(place):
    upload, (first, second) = begin(place)
    tags = [put(first, b"part" * 10), "of a part that is not there"]

    def complete():
        parts = [{"part_number": n, "etag": tag} for n, tag in enumerate(tags, 1)]
        body = {"path": "m", "upload_id": upload, "parts": parts}
        return place.call("POST", f"{API}/mpu/complete/0/r/artifacts", body)

    assert complete()[0] == 404  # part 2 never came
    tags[1] = put(second, b"part" * 10)
    put(first, b"otherwise")
    assert complete()[0] == 409  # part 1 is not what was tagged
    assert place.objects() == set()
    tags[0] = put(first, b"part" * 10)  # it goes on from there
    assert complete() == (200, {})
    assert len(place.objects()) == 1
    assert place.incoming() == []


def test_an_address_of_a_damaged_object_is_not_given(s3_store, tmp_path):
    init_data_directory(tmp_path / "data", objects_url=s3_store.location)
    with running_server(tmp_path / "data") as url:
        place = Place(url, tmp_path / "data", s3_store.bucket)
        urllib.request.urlopen(
            urllib.request.Request(f"{url}{API}/artifacts/a/b", b"data" * 1000, method="PUT")
        ).close()
        status, given = place.call("GET", f"{API}/presigned/a/b")
        assert (status, given["file_size"], given["headers"]) == (200, 4000, {})
        with urllib.request.urlopen(given["url"]) as response:
            assert response.read() == b"data" * 1000
        (digest,) = place.objects()
        s3_store.alter(f"sha256:{digest}", lambda data: data.__setitem__(0, data[0] ^ 1))
        assert place.call("GET", f"{API}/presigned/a/b")[0] == 409


def test_a_bucket_that_clients_may_not_reach_is_not_offered(s3_store, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "config.toml").write_text(
        f'[objects]\nurl = "{s3_store.location}"\ndirect = false\n', encoding="utf-8"
    )
    init_data_directory(data)
    with running_server(data) as url:
        place = Place(url, data, s3_store.bucket)
        _, info = place.call("GET", "/api/3.0/mlflow/server-info")
        assert info["multipart_uploads_enabled"] is False
        status, refused = place.call("POST", f"{API}/mpu/create/a", {"path": "m"})
        assert (status, refused["error_code"]) == (501, "NOT_IMPLEMENTED")
        # Clients look for these words before they send the file in one piece.
        assert refused["message"].startswith(
            "Multipart upload is not supported for the current artifact repository"
        )
