"""The kinds of holes that MLflow's advisories tell of, each tried here. Paths are in test_path_corpus.py."""

import ast
import http.client
import io
import os
import pickle
import socket
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from lastgood.core.manifest import parse_file_path
from lastgood.errors import InvalidInput

API = "/api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts"
FILES = f"{PROXY}/artifacts"
SOURCE = Path(__file__).parents[2] / "src" / "lastgood"
MIB = 1 << 20
MARKUP = '<img src=x onerror="alert(1)">{{7*7}}${HOME}$HOME'


# --- what the code does not contain (L7, L8, L9) ----------------------------------------------------


def _calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}


def dangers_in(text):
    """Calls that run a shell, unpack an archive, or build objects from bytes."""
    found = []
    for name, options in _calls(ast.parse(text)):
        shell = options.get("shell", "False") != "False" or name in {"os.system", "os.popen"}
        unpacks = name.rpartition(".")[2] in {"extractall", "unpack_archive"}
        builds = name.partition(".")[0] in {"pickle", "cloudpickle", "joblib", "marshal", "dill"}
        evaluates = name in {"eval", "exec"} or name in {"yaml.load", "yaml.unsafe_load"}
        if shell or unpacks or builds or evaluates:
            found.append(name)
    return found


def test_no_shell_no_archive_no_unpickling_in_the_code():
    """CVE-2023-4033, 2023-6940, 2025-14287, 2025-15379, 2026-0596; 2025-15031, 2025-15036; 2024-37052 to 37060."""
    found = {str(file): dangers_in(file.read_text("utf-8")) for file in SOURCE.rglob("*.py")}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "text",
    [
        "subprocess.run('x', shell=True)",
        "os.system('x')",
        "tar.extractall('.')",
        "pickle.loads(b'')",
        "yaml.load(x)",
        "eval('1')",
    ],
)
def test_the_search_for_dangers_finds_them(text):
    """The control."""
    assert dangers_in(text)


def test_model_content_is_never_executed(site, tmp_path):
    """CVE-2024-37052 to 37060, 2024-37061, 2026-96775, 2026-96804, 2026-116692."""
    witness = tmp_path / "executed"

    class Payload:
        def __reduce__(self):
            return (Path.touch, (witness,))

    run = site.run()
    folder = f"0/{run}/artifacts/m"
    site.put(f"{folder}/model.pkl", pickle.dumps(Payload()))
    site.put(
        f"{folder}/MLmodel",
        b"flavors:\n  python_function:\n    loader_module: os\n    data: model.pkl\n"
        b"x: !!python/object/apply:os.system ['touch %s']\n" % str(witness).encode(),
    )
    site.put(f"{folder}/code/sitecustomize.py", f"open({str(witness)!r}, 'w')".encode())
    site.wire("POST", f"{API}/registered-models/create", {"name": "hostile"})
    body = {"name": "hostile", "source": f"mlflow-artifacts:/{folder}", "run_id": run}
    site.wire("POST", f"{API}/model-versions/create", body)
    for target in (
        f"{FILES}/{folder}/model.pkl",
        f"{API}/artifacts/list?run_id={run}&path=m",
        f"{API}/model-versions/get?name=hostile&version=1",
        "/model-versions/get-artifact?name=hostile&version=1&path=MLmodel",
    ):
        assert site.wire("GET", target).status < 500
    assert not witness.exists()
    pickle.loads(pickle.dumps(Payload()))
    assert witness.exists()  # control: loading it does execute it


# --- what the server does not fetch (L4, L11) -------------------------------------------------------


class Listener:
    """A port that counts who comes."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.visits = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                self._socket.accept()[0].close()
            except OSError:
                return
            self.visits += 1

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def test_no_field_makes_the_server_fetch_something(site):
    """CVE-2023-6974, 2025-52967, 2026-71211: datasets, sources, locations, gateways."""
    with closing(Listener()) as listener:
        url = f"http://127.0.0.1:{listener.port}/x"
        run = site.run()
        dataset = {
            "name": "d",
            "digest": "1",
            "source_type": "http",
            "source": f'{{"url":"{url}"}}',
        }
        asked = [
            ("/runs/log-inputs", {"run_id": run, "datasets": [{"dataset": dataset}]}),
            ("/experiments/create", {"name": "fetched", "artifact_location": url}),
            ("/registered-models/create", {"name": "fetched"}),
            ("/model-versions/create", {"name": "fetched", "source": url}),
            (
                "/model-versions/create",
                {"name": "fetched", "source": f"{url}#/../x", "run_id": run},
            ),
            ("/gateway-proxy", {"gateway_path": url}),
            ("/artifacts/presigned-download-url", {"run_id": run, "path": url}),
        ]
        for path, body in asked:
            assert site.wire("POST", API + path, body).status in {200, 400, 404, 501}
        for target in (
            f"{API}/gateway-proxy?gateway_path={quote(url)}",
            f"{FILES}/{quote(url, safe='')}",
            f"/model-versions/get-artifact?name=fetched&version=1&path={quote(url)}",
        ):
            site.wire("GET", target)
        assert listener.visits == 0
        socket.create_connection(("127.0.0.1", listener.port)).close()
        for _ in range(200):
            if listener.visits:
                break
            threading.Event().wait(0.01)
        assert listener.visits == 1  # control


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/",
        "https://10.0.0.1/",
        "https://[fd00::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://0xa9fea9fe/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "ftp://127.0.0.1/",
    ],
)
def test_a_webhook_cannot_reach_inside(site, url):
    """CVE-2026-2393, CVE-2026-64849: refused when it is made, or when it is tried."""
    body = {"name": "w", "url": url, "events": [{"entity": "MODEL_VERSION", "action": "CREATED"}]}
    made = site.wire("POST", f"{API}/webhooks", body)
    assert made.status in {200, 400}
    if made.status == 200:
        webhook = made.json()["webhook"]["webhook_id"]
        tried = site.wire("POST", f"{API}/webhooks/{webhook}/test", {})
        assert tried.status in {200, 400}
        if tried.status == 200:
            assert tried.json()["result"]["success"] is False
            assert "response_status" not in tried.json()["result"]
        site.wire("DELETE", f"{API}/webhooks/{webhook}")


def test_secrets_of_webhooks_are_not_shown(site):
    """CVE-2026-3198."""
    secret = "s3cret-of-a-webhook"
    body = {
        "name": "quiet",
        "url": "http://127.0.0.1:9/hook",
        "secret": secret,
        "events": [{"entity": "MODEL_VERSION", "action": "CREATED"}],
    }
    made = site.wire("POST", f"{API}/webhooks", body)
    assert made.status == 200, made
    listed = site.wire("GET", f"{API}/webhooks")
    assert b"quiet" in listed.body  # control
    assert secret.encode() not in made.body + listed.body
    for file in site.data.glob("lastgood.db*"):
        assert secret.encode() not in file.read_bytes()


# --- what browsers are led to do (L10) --------------------------------------------------------------


def routes(site):
    """Every route of the server: method and an address of it."""
    from lastgood.api.mlflow.routes import mlflow_routes

    table = mlflow_routes()
    found = set(table.paths())
    for method, pattern, _ in table._patterns:
        path = pattern.pattern.replace("\\", "")
        while "(?P<" in path:
            start = path.index("(?P<")
            path = path[:start] + "x" + path[path.index(")", start) + 1 :]
        found.add((method, path))
    described = site.wire("GET", "/api/v1/openapi.json").json()["paths"]
    for path, methods in described.items():
        found |= {(method.upper(), path.replace("{", "").replace("}", "")) for method in methods}
    return sorted(found)


OPEN = {"/health", "/version"}  # say nothing that is worth hiding


def test_every_route_checks_host_and_origin(site):
    """CVE-2025-14279 (DNS rebinding), CVE-2023-43472, CVE-2026-2611 (foreign pages)."""
    table = routes(site)
    assert len(table) > 90
    foreign = (
        {"Host": "attacker.test"},
        {"Host": "127.0.0.1.attacker.test"},
        {"Host": "127.0.0.1@attacker.test"},
        {"Host": ""},
        {"Origin": "http://attacker.test"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.attacker.test"},
        {"Sec-Fetch-Site": "cross-site"},
    )
    for method, path in table:
        for twin in {path, path.replace("/api/2.0/", "/ajax-api/2.0/")}:
            for headers in foreign if twin not in OPEN else ():
                answer = site.wire(method, twin, None, **headers)
                assert answer.status == 403, (method, twin, headers, answer)
                assert "access-control-allow-origin" not in answer.headers
    for method in ("OPTIONS", "PATCH", "TRACE", "PROPFIND"):
        answer = site.wire(method, f"{API}/experiments/search", Origin="http://attacker.test")
        assert answer.status in {400, 403, 405, 501}
        assert "access-control-allow-origin" not in answer.headers


def test_pages_of_the_server_and_links_from_elsewhere_are_served(site):
    """The control: it is not everything that is refused."""
    own = {"Host": "127.0.0.1:5000", "Origin": "http://127.0.0.1:5000"}
    assert site.wire("GET", "/api/v1/models", **own).status == 200
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert site.wire("GET", "/docs", **link).status == 200
    refused = site.wire("POST", f"{API}/experiments/create", {"name": "linked"}, **link)
    assert refused.status == 403


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None],
)
def test_what_a_form_can_send_changes_nothing(site, kind):
    """CVE-2023-43472, CVE-2025-1473: only JSON that says it is JSON is taken."""
    name = f"form {(kind or 'none').rpartition('/')[2]}"
    body = b'{"name": "%s"}' % name.encode()
    for path in (f"{API}/registered-models/create", f"{API}/experiments/create"):
        headers = {"Content-Type": kind} if kind else {}
        assert site.wire("POST", path, body, **headers).status in {400, 415}
    site.version("formed")
    promotion = b'{"reference": "formed/1", "to": "staging", "reason": "a form said so"}'
    headers = {"Content-Type": kind} if kind else {}
    assert site.wire("POST", "/api/v1/promote", promotion, **headers).status in {400, 415, 422}
    query = urlencode({"name": name})
    assert site.wire("GET", f"{API}/registered-models/get?{query}").status == 404
    json_said = {"Content-Type": "application/json"}
    assert site.wire("POST", f"{API}/registered-models/create", body, **json_said).status == 200
    assert site.wire("POST", "/api/v1/promote", promotion, **json_said).status == 200


# --- what is shown (XSS, templates, environment) ----------------------------------------------------


@pytest.mark.parametrize(
    "name", ["x.html", "x.svg", "x.xhtml", "x.js", "x.pdf", "x", "MLmodel", "x.html%00.txt"]
)
def test_an_artifact_is_a_download_and_never_a_page(site, name):
    """CVE-2023-6568, CVE-2026-33865, CVE-2024-27132: what users upload does not run under our origin."""
    run = site.run()
    site.put(f"0/{run}/artifacts/{name}", b"<script>alert(1)</script>")
    version = site.version("pages")
    inner = urlencode({"run_id": run, "path": name})
    of_version = urlencode({"name": "pages", "version": version, "path": "MLmodel"})
    for target in (
        f"{FILES}/0/{run}/artifacts/{quote(name)}",
        f"/get-artifact?{inner}",
        f"/model-versions/get-artifact?{of_version}",
    ):
        answer = site.wire("GET", target)
        assert answer.status == 200, (target, answer)
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_markup_and_templates_come_back_as_they_were(site):
    """CVE-2023-6709 (templates), 2026-4035 (variables), 2024-27133 (markup)."""
    run = site.run()
    body = {"run_id": run, "key": "note", "value": MARKUP}
    assert site.wire("POST", f"{API}/runs/set-tag", body).status == 200
    shown = site.wire("GET", f"{API}/runs/get?run_id={run}")
    assert MARKUP in {tag["value"] for tag in shown.json()["run"]["data"]["tags"]}
    assert shown.headers["content-type"].startswith("application/json")
    assert shown.headers["x-content-type-options"] == "nosniff"


def test_what_was_sent_is_not_echoed_as_markup(site):
    """CVE-2023-6568: headers and paths in error messages."""
    markup = quote("<script>alert(1)</script>")
    for answer in (
        site.wire("POST", f"{API}/runs/create", b"{}", Content_Type="<b>x</b>"),
        site.wire("GET", f"/{markup}"),
        site.wire("GET", f"{API}/{markup}"),
        site.wire("GET", f"{API}/runs/get?run_id={markup}"),
        site.wire("GET", f"{FILES}/{markup}"),
    ):
        assert 400 <= answer.status < 500
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert b"<b>x</b>" not in answer.body


# --- limits (L3 of 1c) ------------------------------------------------------------------------------


def test_names_and_pages_are_bounded(site):
    """CVE-2024-6838, CVE-2025-0453."""
    made = site.wire("POST", f"{API}/registered-models/create", {"name": "n" * 257})
    assert made.status == 400
    asked = f"{API}/registered-models/search?max_results=100000000"
    assert site.wire("GET", asked).status == 400
    query = "{" + " ".join(f"a{i}: mlflowGetRun" for i in range(1000)) + "}"
    assert site.wire("POST", "/graphql", {"query": query}).status == 501


def test_a_body_without_a_length_is_cut_at_the_limit(site):
    """MLflow looked at Content-Length only; a chunked body passed its limit."""

    def endless():
        for _ in range(200):
            yield b"x" * MIB

    with closing(http.client.HTTPConnection("127.0.0.1", site.wire.port, timeout=60)) as connection:
        try:
            connection.request(
                "POST",
                f"{API}/runs/create",
                endless(),
                {"Content-Type": "application/json"},
                encode_chunked=True,
            )
            assert connection.getresponse().status == 413
        except ConnectionError:
            pass  # it had hung up before we were done
    assert site.wire("GET", "/health").status == 200


def test_names_that_are_encoded_stay_themselves(site):
    """CVE-2024-3099: a name and its encoded twin are two names, not one and an alias of it."""
    for name in ("twin a", "twin%20a"):
        made = site.wire("POST", f"{API}/registered-models/create", {"name": name})
        assert made.status == 200, made
    for name in ("twin a", "twin%20a"):
        shown = site.wire("GET", f"{API}/registered-models/get?{urlencode({'name': name})}")
        assert shown.json()["registered_model"]["name"] == name
    assert site.wire("POST", f"{API}/registered-models/create", {"name": "TWIN A"}).status == 400


# --- who may (L1, L2, L12) --------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_without_access_control_there_is_no_way_in_from_outside(tmp_path, host):
    """CVE-2023-6014, 2025-1474, 2025-11200, 2026-2635, 2026-0545, 2026-2652 and all that lacked a check."""
    command = [sys.executable, "-m", "lastgood", "server", "--host", host, "--port", "0"]
    done = subprocess.run(
        [*command, "--data", tmp_path / "data"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 3
    assert "Refusing to listen" in done.stderr


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{API}/users/create"),
        ("POST", "/api/3.0/jobs"),
        ("GET", "/api/3.0/mlflow/traces/x"),
        ("POST", "/api/3.0/mlflow/assistant/run"),
        ("POST", "/api/3.0/mlflow/scorers/register"),
        ("GET", "/api/3.0/mlflow/gateway/secrets/list"),
        ("POST", "/graphql"),
    ],
)
def test_what_is_not_offered_has_no_back_door(site, method, path):
    """CVE-2025-15381, 2026-0545, 2026-2611, 2026-3198, 2026-8147, 2026-13484."""
    for twin in (path, path.replace("/api/", "/ajax-api/")):
        assert site.wire(method, twin, {} if method == "POST" else None).status in {404, 501}


def test_a_part_of_an_upload_needs_its_id_and_its_path(site):
    """CVE-2026-2651: the multipart door had no check of its own."""
    begun = site.wire("POST", f"{PROXY}/mpu/create/0/mine", {"path": "m", "num_parts": 1}).json()
    upload = begun["upload_id"]
    assert len(upload) == 32  # 128 random bits
    for target in (
        f"{PROXY}/mpu/part/{upload}/1/0/other/m",
        f"{PROXY}/mpu/part/{'f' * 32}/1/0/mine/m",
        f"{PROXY}/mpu/part/%2e%2e/1/0/mine/m",
    ):
        assert site.wire("PUT", target, b"x").status == 404
    body = {"path": "m", "upload_id": upload, "parts": [{"part_number": 1, "etag": "x"}]}
    assert site.wire("POST", f"{PROXY}/mpu/complete/0/other", body).status == 404
    assert site.wire("POST", f"{PROXY}/mpu/create/sha256/x", {"path": "m"}).status == 409
    assert site.wire("PUT", f"{PROXY}/mpu/part/{upload}/1/0/mine/m", b"x").status == 200  # control


def test_the_data_directory_is_private(tmp_path):
    """CVE-2024-27134, 2025-10279, 2026-4137: what is made can be swapped by nobody else, whatever the umask."""
    data = tmp_path / "data"
    old = os.umask(0)
    try:
        command = [sys.executable, "-m", "lastgood", "init", "--data", data]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    finally:
        os.umask(old)
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


# --- what a registry tells its clients (client side) --------------------------------------------------


@pytest.mark.parametrize(
    "path", ["../x", "/x", "..\\x", "C:/x", "C:\\x", "a/../../x", "a\x00b", "", ".", "a//b"]
)
def test_a_manifest_cannot_name_a_file_outside_of_its_folder(path):
    """CVE-2024-0520, CVE-2023-6753: whoever downloads writes where it wants, not where a server says."""
    with pytest.raises(InvalidInput):
        parse_file_path(path)
    assert parse_file_path("a/b.txt") == "a/b.txt"  # control


def test_downloads_do_not_look_at_names_that_a_server_gives():
    """CVE-2024-0520."""
    for folder in ("sdk", "serve"):
        for file in (SOURCE / folder).rglob("*.py"):
            assert "content-disposition" not in io.StringIO(file.read_text("utf-8")).read().lower()
