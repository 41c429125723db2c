"""The object stores that the contract runs over, each with a way to harm what it stores."""

import base64
import hmac
import http.client
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path

import obstore
from obstore.store import LocalStore, from_url

from lastgood.cas.local import LocalObjects
from lastgood.cas.remote import RemoteObjects
from lastgood.cas.select import open_objects

READY_TIMEOUT_S = 60.0
BUCKET = "lastgood"
KEY, SECRET = "contract-key", "contract-secret"
AZURITE = Path(__file__).parents[2] / ".azurite" / "node_modules" / ".bin" / "azurite-blob"
# Made for this run; any account and key may be given to Azurite.
ACCOUNT, ACCOUNT_KEY = "contract", base64.b64encode(os.urandom(64)).decode()


class Local:
    """`LocalObjects`."""

    memory_max = 16 * 2**20  # for an object of any size

    def __init__(self, root):
        self.root = root
        self.location = root
        self.objects = LocalObjects(root)

    def files(self):
        return [file for file in self.root.rglob("*") if file.is_file()]

    def alter(self, digest, change):
        file = self.objects.path_of(digest)
        file.chmod(0o644)
        data = bytearray(file.read_bytes())
        change(data)
        file.write_bytes(data)

    def remove(self, digest):
        self.objects.path_of(digest).unlink()


class Remote:
    """`RemoteObjects` over any store that obstore knows."""

    memory_max = 40 * 2**20  # three parts under way and one that fills

    def __init__(self, bucket, *, objects, location=None):
        self.bucket = bucket
        self.objects = objects
        self.location = location

    def files(self):
        return [meta["path"] for meta in obstore.list(self.bucket).collect()]

    def alter(self, digest, change):
        data = bytearray(obstore.get(self.bucket, _path(digest)).bytes())
        change(data)
        obstore.put(self.bucket, _path(digest), bytes(data))

    def remove(self, digest):
        obstore.delete(self.bucket, _path(digest))


def in_folder(root):
    """obstore's own directory store: another implementation behind the same port."""
    bucket = LocalStore(root, mkdir=True)
    return Remote(bucket, objects=RemoteObjects(bucket, name="folder"))


def in_s3(prefix):
    """A prefix of the gateway's bucket; the environment must lead there."""
    url = f"s3://{BUCKET}/{prefix}"
    bucket = from_url(
        url, client_options={"allow_http": True}, config={"disable_bulk_delete": True}
    )
    return Remote(bucket, objects=open_objects(url, check=True), location=url)


def in_azure(prefix):
    """A prefix of the container; the environment must lead there."""
    url = f"az://{BUCKET}/{prefix}"
    bucket = from_url(url, client_options={"allow_http": True})
    return Remote(bucket, objects=open_objects(url, check=True), location=url)


def environment(endpoint, *, secret=SECRET):
    """The variables with which a process reaches the gateway."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": secret,
    }


@contextmanager
def running_s3(folder):
    """A real S3 server on this machine, with one bucket; yields its endpoint."""
    juicefs = Path(sys.executable).parent / "juicefs"
    meta = f"sqlite3://{folder}/meta.db"
    volume = [juicefs, "format", meta, BUCKET, "--storage", "file", "--trash-days", "0"]
    subprocess.run([*volume, "--bucket", f"{folder}/blocks/"], check=True, capture_output=True)
    port = _free_port()
    command = [juicefs, "gateway", meta, f"127.0.0.1:{port}", "--keep-etag", "--no-banner"]
    command += ["--metrics", f"127.0.0.1:{_free_port()}", "--log", f"{folder}/gateway.log"]
    command += ["--cache-dir", "memory", "--backup-meta", "0", "--no-usage-report"]
    keys = {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET, "HOME": str(folder)}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | keys, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_it_listens(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=READY_TIMEOUT_S)


@contextmanager
def running_azure(folder):
    """Microsoft's own server for tests of Azure's blob storage, with one container; yields the variables that lead there."""
    port = _free_port()
    command = [AZURITE, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", folder]
    command += ["--silent", "--disableTelemetry"]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command,
            env=os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_it_listens(process, port)
        _make_container(port)
        yield {
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/{ACCOUNT}",
            "AZURE_ALLOW_HTTP": "true",
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY,
        }
    finally:
        process.terminate()
        process.wait(timeout=READY_TIMEOUT_S)


def _make_container(port):
    """With the signature of Azure's "Shared Key": the library for objects makes no containers."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    signed = "PUT" + "\n" * 12 + "".join(f"{k}:{v}\n" for k, v in sorted(headers.items()))
    signed += f"/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
    key = base64.b64decode(ACCOUNT_KEY)
    signature = base64.b64encode(hmac.digest(key, signed.encode(), "sha256")).decode()
    headers |= {"Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Length": "0"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_TIMEOUT_S)
    connection.request("PUT", f"/{ACCOUNT}/{BUCKET}?restype=container", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 201, answer.read()
    connection.close()


def _wait_until_it_listens(process, port):
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the object store did not start (exit code {process.poll()})")


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _path(digest):
    hex_digits = digest.removeprefix("sha256:")
    return f"sha256/{hex_digits[:2]}/{hex_digits[2:]}"
