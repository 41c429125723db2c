"""What cannot be right, at every door of a real server and of a real gateway: refused, named, and forgotten."""

import hashlib
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from fault_processes import Gateway, damaged, environment, run

from lastgood.core.manifest import FileEntry, Manifest
from lastgood.engine.open import init_data_directory, open_engine

MLFLOW = "/api/2.0/mlflow"
MIB = 1 << 20
MEMORY_FOR_A_LARGE_BODY = 200 * MIB

NAMES = {
    "slash": "a/b",
    "up": "..",
    "colon": "a:b",
    "control": "bell\x07",
    "newline": "a\nb",
    "backwards": "a\u202eb",
    "long": "n" * 300,
    "blank": " ",
}
REFS = {
    "slash": "a/b",
    "dots": "..",
    "control": "bell\x07",
    "long": "r" * 300,
    "version": "v3",
    "latest": "latest",
    "blank": " ",
}


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def model(http, tmp_path_factory):
    """A registered model with one live version; its name."""
    name = f"bad-input-{uuid.uuid4().hex[:8]}"
    folder = tmp_path_factory.mktemp("model")
    (folder / "weights.bin").write_bytes(b"weights")
    server = str(http.base_url)
    assert run("register", folder, "--name", name, "--server", server)[0] == 0
    promote = ("--to", "production", "--reason", "x", "--server", server)
    assert run("promote", f"{name}/1", *promote)[0] == 0
    return name


def head(http):
    """The newest operation: it stands still while nothing changes."""
    return http.get("/api/v1/log", params={"limit": 1}).json()[:1]


def manifest(http):
    content = b"weights"
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    assert http.put(f"/api/v1/objects/{digest}", content=content).status_code == 204
    entry = FileEntry(path="w", digest=digest, size=len(content))
    return json.loads(Manifest(files=(entry,)).encode())


def refused(answer, *, statuses=(400, 404)):
    assert answer.status_code in statuses, (answer.status_code, answer.text)
    said = answer.json()
    message = said["error"]["message"] if "error" in said else said["message"]
    assert message
    assert message.isprintable()
    assert len(answer.text) < 2000


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_that_cannot_be_are_refused_at_every_door(http, model, name):
    files, before = manifest(http), head(http)
    source = f"models:/{model}/1"
    for method, path, body in (
        ("POST", "/registered-models/create", {"name": name}),
        ("POST", "/registered-models/rename", {"name": model, "new_name": name}),
        ("POST", "/model-versions/create", {"name": name, "source": source}),
        ("POST", "/registered-models/alias", {"name": name, "alias": "a", "version": "1"}),
    ):
        refused(http.request(method, MLFLOW + path, json=body))
    refused(http.get(MLFLOW + "/registered-models/get", params={"name": name}))
    refused(http.post("/api/v1/register", json={"model": name, "manifest": files}))
    refused(http.post("/api/v1/rollback", json={"model": name, "to": "none"}))
    refused(http.get("/api/v1/live", params={"model": name}))
    if name != "..":  # which a client takes out of an address itself
        refused(http.get(f"/api/v1/models/{quote(name, safe='')}/versions"))
        refused(http.get(f"/api/v1/target/{quote(name, safe='')}/production"))
    assert head(http) == before


@pytest.mark.parametrize("ref", REFS.values(), ids=REFS)
def test_refs_that_cannot_be_are_refused_at_every_door(http, model, ref):
    before = head(http)
    alias = {"name": model, "alias": ref}
    refused(http.post(MLFLOW + "/registered-models/alias", json={**alias, "version": "1"}))
    gone = http.request("DELETE", MLFLOW + "/registered-models/alias", json=alias)
    if ref in {"v3", "latest"}:  # as with MLflow: nobody can have set it, so it is gone already
        assert (gone.status_code, gone.json()) == (200, {})
    else:
        refused(gone)
    refused(http.post("/api/v1/promote", json={"reference": f"{model}/1", "to": ref}))
    refused(http.post("/api/v1/promote", json={"reference": f"{model}@{ref}", "to": "staging"}))
    refused(http.post("/api/v1/rollback", json={"model": model, "environment": ref}))
    refused(
        http.post(
            "/api/v1/mark", json={"reference": f"{model}/1", "value": "good", "environment": ref}
        )
    )
    assert head(http) == before


@pytest.mark.slow
def test_the_command_line_refuses_the_same_names_in_process_and_over_http(server, model, tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"weights")
    assert run("init", "--data", tmp_path / "data")[0] == 0
    for where in (("--server", server.url), ("--data", tmp_path / "data")):
        for name in ("a/b", "bell\x07", "n" * 300):
            code, out, err = run("register", tmp_path, "--name", name, *where)
            assert (code, out) == (2, "")
            assert "Invalid Registered Model name" in err
            assert "\x07" not in err
        for command in (("serve", "a/b@production"), ("serve", f"{model}@bell\x07")):
            code, _, err = run(*command, "--port", "0", *where)
            assert code == 2, err
            assert "\x07" not in err


@pytest.mark.slow
def test_names_that_differ_only_by_case_are_one_name_at_every_door(http, server, model, tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"other weights")
    other, before = model.upper(), head(http)
    refused(http.post(MLFLOW + "/registered-models/create", json={"name": other}), statuses=(400,))
    body = {"name": model, "new_name": other}
    files = manifest(http)
    refused(
        http.post("/api/v1/register", json={"model": other, "manifest": files}), statuses=(409,)
    )
    code, _, err = run("register", tmp_path, "--name", other, "--server", server.url)
    assert code == 5
    assert model in err
    assert head(http) == before
    # The control: the name itself can be given another case, because it stays one name.
    assert http.post(MLFLOW + "/registered-models/rename", json=body).status_code == 200
    back = {"name": other, "new_name": model}
    assert http.post(MLFLOW + "/registered-models/rename", json=back).status_code == 200


# --- JSON -----------------------------------------------------------------------------------------

NATIVE = [
    "register",
    "promote",
    "promote/plan",
    "rollback",
    "rollback/plan",
    "mark",
    "observations",
]
NOT_JSON = [b"", b"{", b"not json", b"\xff\xfe", b"[]", b"5", b'"x"', b"null", b"[" * 100_000]
WRONG_TYPES = [
    {"model": 5, "reference": [], "to": {}, "reason": 1, "value": 3, "gateway": 1},
    {"model": None, "manifest": [], "reference": {"a": 1}, "environment": 7},
    {"unknown": True},
]


@pytest.mark.parametrize("address", NATIVE)
def test_the_native_api_refuses_what_is_no_request(http, address):
    before = head(http)
    for body in NOT_JSON:
        headers = {"content-type": "application/json"}
        refused(http.post(f"/api/v1/{address}", content=body, headers=headers), statuses=(400,))
    for value in WRONG_TYPES:
        refused(http.post(f"/api/v1/{address}", json=value), statuses=(400,))
    assert head(http) == before


def peak_memory(pid):
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    "address",
    [f"{MLFLOW}/runs/log-batch", f"{MLFLOW}/registered-models/create"]
    + [f"/api/v1/{address}" for address in NATIVE],
)
def test_a_hundred_mebibytes_are_refused_without_being_held(http, server, address):
    http.get("/api/v1/models")  # the first request loads code
    before = peak_memory(server.pid)

    def body():
        yield b'{"name": "'
        for _ in range(100):
            yield b"x" * MIB
        yield b'"}'

    try:
        answer = http.post(address, content=body(), headers={"content-type": "application/json"})
    except (httpx.WriteError, httpx.RemoteProtocolError):
        pass  # it hung up before all of it was sent
    else:
        assert answer.status_code == 413
    assert http.get("/health").text == "OK"
    assert peak_memory(server.pid) - before < MEMORY_FOR_A_LARGE_BODY


# --- paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/passwd",
        "%2e%2e/x",
        "%252e%252e%252fx",
        "%25252e%25252e/x",
        "a/../../x",
        "..\\x",
        "C:/x",
        "a\x00b",
    ],
)
def test_a_path_that_leads_out_is_refused_by_both_apis(http, path):
    before = head(http)
    artifacts = "/api/2.0/mlflow-artifacts/artifacts/"
    once = quote(path, safe="%")
    twice = quote(quote(path, safe=""), safe="")
    # Encoded twice, a control character is a name with a percent sign in it, as images have that clients log.
    for sent in (once, twice) if path.isprintable() else (once,):
        for method in ("PUT", "GET", "DELETE"):
            answer = http.request(method, artifacts + "0/" + sent, content=b"x")
            assert answer.status_code in {400, 404}, (method, sent)
    files = manifest(http)
    if "%" not in path:  # in a manifest a percent sign means itself: nothing decodes it
        files["files"][0]["path"] = path
        refused(
            http.post("/api/v1/register", json={"model": "m", "manifest": files}), statuses=(400,)
        )
    assert head(http) == before


# --- model directories ----------------------------------------------------------------------------


def unusual(folder, kind):
    """A model directory with something wrong, and the path to register."""
    root = folder / "model"
    root.mkdir()
    if kind != "empty":
        (root / "weights.bin").write_bytes(b"weights")
    secret = folder / "secret"
    secret.write_text("secret")
    match kind:
        case "missing":
            return folder / "nowhere"
        case "link to a file outside":
            (root / "link").symlink_to(secret)
        case "link to a folder outside":
            (root / "link").symlink_to("/etc")
        case "link up":
            (root / "link").symlink_to("..")
        case "link in a circle":
            (root / "a").symlink_to("b")
            (root / "b").symlink_to("a")
        case "link to nothing":
            (root / "link").symlink_to("gone")
        case "fifo":
            os.mkfifo(root / "pipe")
        case "unreadable":
            (root / "weights.bin").chmod(0)
    return root


@pytest.mark.parametrize(
    ("kind", "code", "word"),
    [
        ("missing", 4, "nothing at"),
        ("empty", 2, "holds no files"),
        ("link to a file outside", 2, "link"),
        ("link to a folder outside", 2, "link"),
        ("link up", 2, "link"),
        ("link in a circle", 2, "link"),
        ("link to nothing", 2, "link"),
        ("fifo", 2, "pipe"),
        ("unreadable", 2, "weights.bin"),
    ],
)
def test_model_directories_that_cannot_be_are_refused_by_the_command(tmp_path, kind, code, word):
    path, data = unusual(tmp_path, kind), tmp_path / "data"
    init_data_directory(data)
    command = [sys.executable, "-m", "lastgood", "register", path, "--name", "m", "--data", data]
    # To root nothing is unreadable; without its privilege over files it is like everybody else.
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    if kind == "unreadable" and drop:
        try:
            subprocess.run([*drop, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("nothing is unreadable to root")
    done = subprocess.run(
        [*(drop if kind == "unreadable" else []), *map(str, command)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert word in done.stderr
    with open_engine(data) as engine:
        assert engine.registry.models() == []
        assert list(engine.kernel.objects.digests()) == []


# --- the gateway ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_gateway_refuses_a_hundred_mebibytes_and_what_is_no_request(server, model, tmp_path):
    gateway = Gateway(tmp_path / "gateway", server, model=model)
    try:
        headers = {"content-type": "application/json"}
        before = peak_memory(gateway.pid)
        try:
            answer = gateway.client.post(
                "/invocations", content=b" " * (100 * MIB), headers=headers
            )
        except (httpx.WriteError, httpx.RemoteProtocolError):
            pass
        else:
            assert answer.status_code == 413
        assert peak_memory(gateway.pid) - before < MEMORY_FOR_A_LARGE_BODY
        assert gateway.status()["model"] == model
    finally:
        gateway.close()


def test_a_manifest_that_is_damaged_is_refused_by_name(http, server, model):
    shown = http.get("/api/v1/show", params={"reference": f"{model}/1"}).json()
    hex_digits = shown["digest"].removeprefix("sha256:")
    path = server.data / "objects/sha256" / hex_digits[:2] / hex_digits[2:]
    with damaged(path):
        refused(http.get(f"/api/v1/manifests/{shown['digest']}"), statuses=(409,))
        body = {"reference": f"{model}/1", "to": "staging"}
        refused(http.post("/api/v1/promote", json=body), statuses=(409,))
    assert http.get(f"/api/v1/manifests/{shown['digest']}").status_code == 200
