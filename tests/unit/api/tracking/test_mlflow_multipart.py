"""Files in parts and signed addresses, over objects on local disk."""

import hashlib
import json
from urllib.parse import urlsplit

import pytest

API = "/api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts"
FILES = f"{PROXY}/artifacts"
HOST = [(b"host", b"127.0.0.1:5000")]
PARTS = [b"one" * 1000, b"two" * 1000, b"3"]


def begin(client, folder, name="m.bin", parts=3):
    status, _, body = client(
        "POST", f"{PROXY}/mpu/create/{folder}", {"path": name, "num_parts": parts}, headers=HOST
    )
    assert status == 200, body
    return json.loads(body)


def send(client, begun):
    parts = []
    for credential, data in zip(begun["credentials"], PARTS, strict=True):
        address = urlsplit(credential["url"])
        assert (address.scheme, address.netloc) == ("http", "127.0.0.1:5000")
        status, headers, body = client("PUT", address.path, data)
        assert (status, body) == (200, b"")
        assert headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
        parts.append({"part_number": credential["part_number"], "etag": headers["etag"]})
    return parts


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("m.bin", "m.bin"),
        ("/home/ana/m.bin", "m.bin"),  # clients before 3.18 send the path of the local file
        ("C:\\models\\m.bin", "m.bin"),
        ("ü b.bin", "ü b.bin"),
    ],
)
def test_a_file_in_parts(client, run_id, name, stored):
    folder = f"0/{run_id}/artifacts/d"
    begun = begin(client, folder, name)
    assert [c["part_number"] for c in begun["credentials"]] == [1, 2, 3]
    parts = send(client, begun)
    assert client("GET", f"{FILES}/{folder}/{stored}")[0] == 404
    done = {"path": name, "upload_id": begun["upload_id"], "parts": parts}
    for _ in range(2):  # clients repeat it when the answer is late
        assert client("POST", f"{PROXY}/mpu/complete/{folder}", done)[::2] == (200, b"{}")
    assert client("GET", f"{FILES}/{folder}/{stored}")[2] == b"".join(PARTS)


def test_a_file_given_up(client, run_id, tmp_path):
    folder = f"0/{run_id}/artifacts"
    begun = begin(client, folder)
    parts = send(client, begun)
    given_up = {"path": "m.bin", "upload_id": begun["upload_id"]}
    assert client("POST", f"{PROXY}/mpu/abort/{folder}", given_up)[::2] == (200, b"{}")
    assert list((tmp_path / "data/objects/incoming").iterdir()) == []
    for action, body in (("abort", given_up), ("complete", {**given_up, "parts": parts})):
        answer = client.refused("POST", f"{PROXY}/mpu/{action}/{folder}", body)
        assert answer[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    address = urlsplit(begun["credentials"][0]["url"])
    assert client("PUT", address.path, b"x")[0] == 404


def test_the_address_of_a_part_names_upload_part_and_path(client):
    begun = begin(client, "0/r/artifacts")
    upload, path = begun["upload_id"], "0/r/artifacts/m.bin"
    for wrong, status in (
        (f"{upload}/1/0/r/artifacts/other", 404),
        (f"{'0' * 32}/1/{path}", 404),
        (f"{upload}/4/{path}", 400),
        (f"{upload}/0/{path}", 400),
        (f"{upload}/x/{path}", 400),
        (f"{upload}/-1/{path}", 400),
        (f"{upload}/{'9' * 5000}/{path}", 400),
        (f"{upload}/1/../x", 400),
    ):
        assert client("PUT", f"{PROXY}/mpu/part/{wrong}", b"x")[0] == status
    assert client("PUT", f"{PROXY}/mpu/part/{upload}/1/{path}", b"x")[0] == 200  # control


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"path": ""},
        {"path": "a/"},
        {"path": "..", "num_parts": 1},
        {"path": "x", "num_parts": 0},
        {"path": "x", "num_parts": 10_001},
        {"path": "x", "num_parts": "many"},
        {"path": "x\x00"},
    ],
)
def test_what_cannot_begin_is_refused(client, body):
    answer = client.refused("POST", f"{PROXY}/mpu/create/a", body, headers=HOST)
    assert answer[:2] == (400, "INVALID_PARAMETER_VALUE")


def test_local_disk_has_no_addresses_and_says_so(client, run_id):
    client("PUT", f"{FILES}/0/{run_id}/artifacts/a", b"x")
    refused = client.refused("GET", f"{PROXY}/presigned/0/{run_id}/artifacts/a")
    assert refused[:2] == (501, "NOT_IMPLEMENTED")
    assert client.refused("GET", f"{PROXY}/presigned/0/{run_id}/artifacts/b")[0] == 404
    for what in ("upload", "download"):
        body = {"run_id": run_id, "path": "a"}
        status, code, message = client.refused(
            "POST", f"{API}/artifacts/presigned-{what}-url", body
        )
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert message.startswith(f"Presigned {what} is not supported for proxied artifact storage")


@pytest.mark.parametrize("expiration", [0, -1, 604_801])
def test_addresses_hold_for_a_week_at_most(client, run_id, expiration):
    body = {"run_id": run_id, "path": "a", "expiration": expiration}
    refused = client.refused("POST", f"{API}/artifacts/presigned-download-url", body)
    assert refused[0] == 400
    assert "between 1 and 604800 seconds" in refused[2]
