"""Dying workers, an absent registry, damaged caches, taken ports."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import digests, eventually


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_request_survives_the_death_of_its_worker(feed, gateway, custom_model, tmp_path):
    feed.point(1, feed.add_model(custom_model("one")), seq=1)
    running = gateway().wait_listening().wait_serving(1)
    eventually(lambda: running.status()["spare_pid"], "a spare is ready")
    first = running.status()["active"]["pid"]
    answers = []
    asking = threading.Thread(target=lambda: answers.append(running.do("sleep:1")))
    asking.start()
    eventually(lambda: running.status()["in_flight"] == 1, "the request is under way")
    time.sleep(0.2)
    os.kill(first, signal.SIGKILL)
    asking.join(60)
    assert answers[0].status_code == 200
    assert answers[0].json() == {"predictions": ["one"]}
    assert running.status()["active"]["pid"] != first
    # The same when the request itself kills it, once.
    assert running.do(f"die-once:{tmp_path / 'died'}").status_code == 200
    eventually(
        lambda: [kind for kind, _, _ in feed.events()].count("crashed") == 2,
        "both deaths are reported",
    )
    # The control: with the retry used up there is nothing left but to say so.
    answer = running.do("die")
    assert answer.status_code == 500
    assert answer.json()["error_code"] == "INTERNAL_ERROR"
    assert "stack_trace" not in answer.text
    running.stop()
    windows = [window for report in feed.reports() for window in report.traffic]
    assert sum(window.requests for window in windows) == 3
    assert sum(window.failures for window in windows) == 1


def test_a_crash_loop_ends_and_a_warm_version_steps_in(feed, gateway, custom_model, sklearn_models):
    known = digests(feed, sklearn_models)
    feed.point(1, known[1], seq=1)
    running = gateway().wait_listening().wait_serving(1)
    feed.point(2, feed.add_model(custom_model("fragile")), seq=2)
    running.wait_serving(2)
    while running.status()["active"]["state"] != "broken":
        running.do("die")
    assert "5 times" in running.status()["active"]["problem"]
    answer = running.ask()
    assert answer.status_code == 200
    assert answer.headers["x-lastgood-version"] == "1"
    assert answer.json() == {"predictions": [1]}
    assert [kind for kind, _, _ in feed.events()].count("crashed") >= 5
    # A person rolls back: nothing to load.
    feed.point(1, known[1], seq=3)
    running.wait_serving(1, 3)
    eventually(lambda: ("drained", 2, 2) in feed.events(), "the broken version is drained")


def test_a_crash_loop_without_another_version_answers_503(feed, gateway, custom_model):
    feed.point(1, feed.add_model(custom_model("fragile")), seq=1)
    running = gateway().wait_listening().wait_serving(1)
    while running.status()["active"]["state"] != "broken":
        running.do("die")
    answer = running.do("hello")
    assert answer.status_code == 503
    assert answer.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
    assert answer.headers["x-lastgood-version"] == "1"
    assert running.client.get("/ping").status_code == 503
    assert running.status()["failures"][0]["retry_in_s"] > 0


def test_the_registry_may_be_away_also_when_the_gateway_starts_again(feed, gateway, sklearn_models):
    known = digests(feed, sklearn_models)
    feed.point(1, known[1], seq=1)
    running = gateway().wait_listening().wait_serving(1)
    feed.point(2, known[2], seq=2)
    running.wait_serving(2)
    identity = running.status()["gateway"]
    (feed.root / "down").touch()
    assert running.ask().json() == {"predictions": [2]}
    workers = [
        running.status()["active"]["pid"],
        running.status()["warm"][0]["pid"],
        running.status()["spare_pid"],
    ]
    running.process.kill()  # power cut
    running.process.wait()
    for pid in workers:
        if pid is not None:
            eventually(lambda pid=pid: not exists(pid), "workers end with their gateway")
    feed.object_path(known[2]).unlink()  # nothing of it can come from the registry

    again = gateway().wait_listening().wait_serving(2, 2)
    assert again.ask().json() == {"predictions": [2]}
    status = again.status()
    assert status["served_from_cache"] is True
    assert "No registry answers" in status["registry_error"]
    assert status["registry_stale_s"] > 0
    assert status["gateway"] == identity
    eventually(
        lambda: [slot["version"] for slot in again.status()["warm"]] == [1],
        "the version before is warm again",
    )
    # What happened meanwhile is reported once the registry is back, and the order is followed.
    (feed.root / "down").unlink()
    feed.point(1, known[1], seq=3)
    again.wait_serving(1, 3)
    assert again.status()["served_from_cache"] is False
    again.stop()
    receipts = [receipt for report in feed.reports() for receipt in report.receipts]
    assert [(receipt.version, receipt.seq) for receipt in receipts] == [(2, 2)]


@pytest.mark.parametrize("registry", ["unset", "unknown model", "broken version"])
def test_a_cached_plan_serves_when_the_registry_has_nothing_better(
    feed, gateway, sklearn_models, custom_model, registry
):
    known = digests(feed, sklearn_models)
    feed.point(1, known[1], seq=1)
    gateway().wait_listening().wait_serving(1).stop()
    if registry == "unset":
        feed.point(None, None, seq=2)
    elif registry == "unknown model":
        (feed.root / "target.json").unlink()
    else:
        feed.point(2, feed.add_model(custom_model("bad", fails=True)), seq=2)
    again = gateway().wait_listening().wait_serving(1)
    assert again.ask().json() == {"predictions": [1]}
    assert again.status()["served_from_cache"] is True


def test_a_damaged_cache_is_repaired_or_refused_by_name_but_never_loaded(
    feed, gateway, sklearn_models
):
    known = digests(feed, sklearn_models)
    feed.point(1, known[1], seq=1)
    running = gateway().wait_listening().wait_serving(1)
    running.stop()
    cached = next(running.cache.glob("bundles/*/model/model.pkl"))
    cached.chmod(0o644)
    with cached.open("r+b") as file:
        file.write(b"\x00\x01")
    planted = cached.with_name("sitecustomize.py")
    planted.write_text("raise SystemExit('planted')")
    (feed.root / "down").touch()
    again = gateway().wait_listening()
    eventually(lambda: again.status()["failures"], "the damaged version is refused")
    assert "'model.pkl'" in again.status()["failures"][0]["reason"]
    assert again.ask().status_code == 503
    (feed.root / "down").unlink()
    feed.point(1, known[1], seq=2)
    again.wait_serving(1)
    assert not planted.exists()


def test_a_second_gateway_on_the_cache_or_the_port_is_refused(feed, gateway, sklearn_models):
    known = digests(feed, sklearn_models)
    feed.point(1, known[1], seq=1)
    running = gateway().wait_listening()
    same_cache = gateway("same-cache", cache_dir=str(running.cache))
    assert same_cache.process.wait(30) == 1
    port = json.loads(running.ready_file.read_text())["url"].rsplit(":", 1)[1]
    same_port = gateway("other", port=int(port))
    assert same_port.process.wait(30) == 1
    assert re.search(
        r"StoreUnavailable: .*used by another gateway", same_cache.log_path.read_text()
    )
    assert "LastgoodError: Cannot listen on 127.0.0.1" in same_port.log_path.read_text()
    assert running.client.get("/status").status_code == 200
    open_to_all = gateway("third", host="0.0.0.0")
    assert open_to_all.process.wait(30) == 1
    assert "access control does not exist yet" in open_to_all.log_path.read_text()


def test_a_worker_interpreter_without_mlflow_is_named(feed, gateway, sklearn_models, tmp_path):
    known = digests(feed, sklearn_models)
    feed.point(1, known[1], seq=1)
    running = gateway(python=str(tmp_path / "no-such-python")).wait_listening()
    eventually(lambda: running.status()["failures"], "the load fails")
    assert "no-such-python" in running.status()["failures"][0]["reason"]


def test_stopping_lets_requests_finish(feed, gateway, custom_model):
    feed.point(1, feed.add_model(custom_model("slow")), seq=1)
    running = gateway().wait_listening().wait_serving(1)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(running.do("sleep:1")))
    asking.start()
    eventually(lambda: running.status()["in_flight"] == 1, "the request is under way")
    url = running.client.base_url
    assert running.stop() == 0
    asking.join(30)
    assert answers[0].status_code == 200
    assert not running.ready_file.exists()
    with pytest.raises(OSError), socket.create_connection((url.host, url.port), timeout=5):
        pass
    assert feed.events()[-1][0] == "stopped"
    receipts = [receipt for report in feed.reports() for receipt in report.receipts]
    assert [receipt.status for receipt in receipts] == [200]


def test_a_worker_does_not_import_lastgood():
    from lastgood.serve import worker_main

    code = f"import runpy, sys; runpy.run_path({worker_main.__file__!r}); assert 'lastgood' not in sys.modules"
    assert subprocess.run([os.sys.executable, "-c", code]).returncode == 0
