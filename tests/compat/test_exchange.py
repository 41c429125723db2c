"""A whole MLflow store comes over, and says through MLflow's own client what it said before."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from compat_processes import mlflow_script

SCRIPTS = Path(__file__).parent / "scripts"
COMMAND_TIMEOUT_S = 180.0
START_TIMEOUT_S = 60.0
pytestmark = pytest.mark.nightly  # each makes a whole store with MLflow's client


def lastgood(*arguments, check=0):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LASTGOOD_")}
    done = subprocess.run(
        [sys.executable, "-m", "lastgood", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
    )
    assert done.returncode == check, done.stdout + done.stderr
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


@contextmanager
def serving(data):
    ready = data.parent / f"{data.name}.ready"
    ready.unlink(missing_ok=True)
    arguments = ["server", "--data", data, "--port", "0", "--ready-file", ready]
    process = subprocess.Popen([sys.executable, "-m", "lastgood", *map(str, arguments)])
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield json.loads(ready.read_text())["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def snapshot(uri):
    return json.loads(mlflow_script("snapshot.py", uri).splitlines()[-1])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """An MLflow 3 database with everything, its address and what the client says of it."""
    root = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{root / 'mlflow.db'}"
    mlflow_script("make_store.py", uri, root / "artifacts", cwd=root)
    return uri, snapshot(uri)


@pytest.fixture(scope="module")
def imported(store, tmp_path_factory):
    """The same in a data directory."""
    data = tmp_path_factory.mktemp("imported") / "data"
    before = Path(store[0].removeprefix("sqlite:///")).read_bytes()
    report = lastgood("import", "mlflow", store[0], "--data", data, "--json")
    assert Path(store[0].removeprefix("sqlite:///")).read_bytes() == before, (
        "the source was written to"
    )
    return data, report


def counts(report):
    return {kind["kind"]: (kind["count"], kind["same"]) for kind in report["kinds"]}


def operations(data):
    return lastgood("log", "--data", data, "--json")["operations"]


def test_mlflows_client_sees_the_same_as_before(store, imported):
    with serving(imported[0]) as url:
        assert snapshot(url) == store[1]


def test_the_report_compares_every_kind(imported):
    found = counts(imported[1])
    assert set(found) == {
        "experiments",
        "runs",
        "histories",
        "folders of files",
        "logged models",
        "registered models",
        "versions",
    }
    assert all(count == same > 0 for count, same in found.values())
    assert imported[1]["points"] > 3000
    assert imported[1]["problems"] == imported[1]["differences"] == []


def test_what_came_over_is_sound_and_recorded(imported):
    data, _ = imported
    assert lastgood("fsck", "--data", data, "--json")["problems"] == []
    version = lastgood("show", "churn-predictor@champion", "--data", data, "--json")
    assert version["version"] == 3
    assert {f["path"] for f in version["manifest"]["files"]} == {"MLmodel", "weights.bin"}
    newest = operations(data)[0]
    assert newest["kind"] == "import"
    assert newest["reason"].startswith("import from sqlite:")


def test_numbers_that_were_deleted_stay_unused(imported, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(imported[0], data)
    model = tmp_path / "model"
    model.mkdir()
    (model / "f").write_text("next")
    done = lastgood("register", model, "--name", "churn-predictor", "--data", data, "--json")
    assert done["version"] == 6  # five was given out, and deleted


def test_again_changes_nothing(store, imported, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(imported[0], data)
    before = operations(data)
    report = lastgood("import", "mlflow", store[0], "--data", data, "--json")
    assert all(kind["new"] == 0 for kind in report["kinds"])
    assert operations(data) == before


def test_what_changed_here_is_kept_and_told(store, imported, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(imported[0], data)
    lastgood("promote", "churn-predictor/1", "--to", "champion", "--reason", "x", "--data", data)
    report = lastgood("import", "mlflow", store[0], "--data", data, "--json", check=1)
    assert [d["subject"] for d in report["differences"] if d["kind"] == "registered models"] == [
        "churn-predictor"
    ]
    shown = lastgood("show", "churn-predictor@champion", "--data", data, "--json")
    assert shown["version"] == 1


def test_damage_here_is_found_by_the_comparison(store, imported, tmp_path):
    """The control: a comparison that could not fail would prove nothing."""
    data = tmp_path / "data"
    shutil.copytree(imported[0], data)
    with sqlite3.connect(data / "lastgood.db") as database:
        found = database.execute("SELECT body FROM metric_chunks WHERE key = 'loss' LIMIT 1")
        ((body,),) = found.fetchall()
        other = body[:2016] + bytes([body[2016] ^ 1]) + body[2017:]  # in the value of one point
        database.execute("UPDATE metric_chunks SET body = ? WHERE body = ?", (other, body))
        database.execute("UPDATE params SET value = 'x' WHERE key = 'p3'")
        database.execute("DELETE FROM artifacts WHERE path LIKE '%notes%'")
    database.close()
    report = lastgood("import", "mlflow", store[0], "--data", data, "--json", check=1)
    kinds = {difference["kind"] for difference in report["differences"]}
    assert kinds == {"runs", "histories", "folders of files"}


def test_over_http_and_from_a_server(store, imported, tmp_path):
    """From our own server, which is an MLflow server, into another one."""
    with serving(imported[0]) as source, serving(tmp_path / "data") as target:
        report = lastgood("import", "mlflow", source, "--server", target, "--json")
        assert all(count == same > 0 for count, same in counts(report).values())
        assert snapshot(target) == store[1]


def test_a_dry_run_counts_and_makes_nothing(store, tmp_path):
    found = lastgood("import", "mlflow", store[0], "--dry-run", "--data", tmp_path / "d", "--json")
    assert (found["experiments"], found["runs"], found["registered_models"]) == (4, 9, 5)
    assert found["points"] == 3014
    assert not (tmp_path / "d").exists()


def test_kept_addresses(store, tmp_path):
    data = tmp_path / "data"
    report = lastgood("import", "mlflow", store[0], "--keep-artifacts", "--data", data, "--json")
    assert report["bytes_sent"] == 0
    shown = lastgood("show", "churn-predictor/3", "--data", data, "--json")
    assert shown["digest"] is None


def test_killed_at_any_moment_and_run_again_nothing_is_lost_or_twice(store, imported, tmp_path):
    data = tmp_path / "data"
    command = [sys.executable, "-m", "lastgood", "import", "mlflow", store[0], "--data", data]
    reached = []
    for attempt in range(4):
        process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        killed = _kill_when(process, data, wanted=3 + attempt * 12)
        reached.append(_rows(data))
        if not killed:
            break
    assert any(rows > 0 for rows in reached), reached
    report = lastgood("import", "mlflow", store[0], "--data", data, "--json")
    assert all(count == same for count, same in counts(report).values())
    assert lastgood("fsck", "--data", data, "--json")["problems"] == []
    assert len(operations(data)) == len(operations(imported[0]))
    with serving(data) as url:
        assert snapshot(url) == store[1]


def test_everything_goes_back(store, imported, tmp_path):
    """Out into a new store of MLflow's, which its client finds as the first one was."""
    database = tmp_path / "back" / "mlflow.db"
    report = lastgood("export", "mlflow", database, "--data", imported[0], "--json")
    assert all(count == same > 0 for count, same in counts(report).values())
    assert snapshot(f"sqlite:///{database}") == store[1]
    # Five was deleted before: MLflow goes on behind it.
    assert (
        mlflow_script("next_number.py", f"sqlite:///{database}", "churn-predictor").strip() == "6"
    )
    refused = lastgood("export", "mlflow", database, "--data", imported[0], "--json", check=5)
    assert "exists already" in refused["error"]["message"]


def test_an_export_that_was_killed_goes_on(store, imported, tmp_path):
    database = tmp_path / "mlflow.db"
    partial = database.with_name("mlflow.db.partial")
    command = [sys.executable, "-m", "lastgood", "export", "mlflow", database]
    process = subprocess.Popen(
        [str(part) for part in (*command, "--data", imported[0])],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + COMMAND_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        if _count(partial, "runs"):
            break
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert not database.exists(), "half an export looks like a whole one"
    lastgood("export", "mlflow", database, "--data", imported[0], "--json")
    assert snapshot(f"sqlite:///{database}") == store[1]


def test_an_export_into_a_server_is_refused_with_the_way_to_do_it(imported):
    found = lastgood(
        *("export", "mlflow", "http://127.0.0.1:9", "--data", imported[0], "--json"), check=2
    )
    assert "mlflow server" in found["error"]["hint"]


def _kill_when(process, data, *, wanted):
    """Kill -9 once so many rows arrived; False if it ended before."""
    deadline = time.monotonic() + COMMAND_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        if _rows(data) >= wanted:
            process.kill()
            process.wait()
            return True
        time.sleep(0.001)
    return False


def _rows(data):
    tables = ("runs", "params", "artifacts", "operations")
    return sum(_count(data / "lastgood.db", table) for table in tables)


def _count(path, table):
    """How many rows a database has that may not be there yet, or not yet that far."""
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        finally:
            database.close()
    except sqlite3.Error:
        return 0


def test_a_directory(tmp_path):
    """MLflow's oldest kind of store, moved to another place since."""
    made, moved = tmp_path / "made" / "mlruns", tmp_path / "moved" / "mlruns"
    made.parent.mkdir()
    mlflow_script("make_directory.py", made, cwd=tmp_path, MLFLOW_ALLOW_FILE_STORE="true")
    made.parent.rename(moved.parent)
    listing = sorted(str(p) for p in moved.rglob("*"))
    report = lastgood("import", "mlflow", moved, "--data", tmp_path / "data", "--json")
    assert sorted(str(p) for p in moved.rglob("*")) == listing
    assert counts(report)["runs"] == (3, 3)
    assert counts(report)["folders of files"][0] == 1
    shown = lastgood("show", "m/1", "--data", tmp_path / "data", "--json")
    assert [file["path"] for file in shown["manifest"]["files"]] == ["MLmodel"]


def test_a_database_of_mlflow_2(tmp_path):
    """Of the schema of MLflow 2.22, which knows no logged models."""
    old = tmp_path / "old.db"
    mlflow_script("make_old_database.py", old, cwd=tmp_path)
    before = old.read_bytes()
    report = lastgood("import", "mlflow", old, "--data", tmp_path / "data", "--json")
    assert old.read_bytes() == before
    assert counts(report)["runs"] == counts(report)["versions"] == (1, 1)
    assert any("older MLflow" in note for note in report["notes"])
    shown = lastgood("show", "m@champion", "--data", tmp_path / "data", "--json")
    assert (shown["version"], shown["stage"], shown["run_id"]) == (2, "Production", "a" * 32)


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("nowhere.db", 4, "nothing at"),
        ("postgresql://u:secret@h/db", 2, "mlflow server"),
        ("empty.txt", 2, "not a database of MLflow"),
    ],
)
def test_what_is_no_store(tmp_path, monkeypatch, address, code, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_bytes(b"")
    found = lastgood("import", "mlflow", address, "--data", tmp_path / "d", "--json", check=code)
    text = json.dumps(found)
    assert words in text
    assert "secret" not in text
    assert not (tmp_path / "d").exists()


def test_files_behind_a_server_that_is_not_there(store, tmp_path):
    """Its runs stay behind, and say why; with the root of its artifacts they come."""
    copy = tmp_path / "mlflow.db"
    shutil.copy(store[0].removeprefix("sqlite:///"), copy)
    artifacts = Path(store[0].removeprefix("sqlite:///")).parent / "artifacts"
    with sqlite3.connect(copy) as database:
        for table, column in (
            ("runs", "artifact_uri"),
            ("logged_models", "artifact_location"),
            ("model_versions", "storage_location"),
        ):
            database.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, 'mlflow-artifacts:/')",
                (f"{artifacts.as_uri()}/",),
            )
    database.close()
    data = tmp_path / "data"
    report = lastgood("import", "mlflow", f"sqlite:///{copy}", "--data", data, "--json", check=1)
    assert "behind an MLflow server" in report["problems"][0]["what"]
    again = lastgood(
        *("import", "mlflow", f"sqlite:///{copy}", "--data", data, "--json"),
        *("--artifact-root", artifacts),
    )
    assert all(count == same for count, same in counts(again).values())
    shown = lastgood("show", "churn-predictor/3", "--data", data, "--json")
    assert shown["digest"] is not None
