"""Following the ref: swaps under load, the way back, failing loads, flapping."""

import threading
import time

import httpx

from conftest import ROWS, WAIT_S, digests, eventually


class Load:
    """Keeps asking from several clients until told to stop; remembers every answer."""

    def __init__(self, url: str, clients: int = 4) -> None:
        self.answers: list[tuple[int, str, object]] = []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for _ in range(clients)]

    def _ask(self, url: str) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not self._stopping.is_set():
                answer = client.post("/invocations", json=ROWS)
                body = answer.json()
                self.answers.append(
                    (
                        answer.status_code,
                        answer.headers["x-lastgood-version"],
                        body.get("predictions"),
                    )
                )
                time.sleep(0.005)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join(WAIT_S)


def test_swaps_under_load_lose_nothing_and_every_answer_names_its_version(
    feed, gateway, sklearn_models
):
    known = digests(feed, sklearn_models)
    feed.point(1, known[1], seq=1)
    running = gateway().wait_listening().wait_serving(1)
    with Load(str(running.client.base_url)) as load:
        feed.point(2, known[2], seq=2)
        running.wait_serving(2)
        seq = 2
        for _ in range(20):  # both are loaded now: each of these is only a swap
            for version in (1, 2):
                seq += 1
                feed.point(version, known[version], seq=seq)
                running.wait_serving(version, seq)
        feed.point(3, known[3], seq=seq + 1)
        running.wait_serving(3)
        time.sleep(0.1)
    assert {status for status, _, _ in load.answers} == {200}
    assert {version for _, version, _ in load.answers} == {"1", "2", "3"}
    assert all(predictions == [int(version)] for _, version, predictions in load.answers)
    # The version before is kept warm, the one before that is gone.
    eventually(
        lambda: [slot["version"] for slot in running.status()["warm"]] == [2],
        "one version is kept warm",
    )
    # Both versions were loaded exactly once: the way back needed no load.
    loads = [version for kind, version, _ in feed.events() if kind == "loaded"]
    assert loads == [1, 2, 3]
    # Each tenure was drained, under the operation that ordered it.
    eventually(
        lambda: (
            # Sorted, because a later tenure may be idle before an earlier one answered its last request.
            sorted(seq for kind, _, seq in feed.events() if kind == "drained")
            == list(range(1, seq + 1))
        ),
        "all former tenures are drained",
    )
    # What was counted and what was kept is what was answered, each under the right order.
    assert running.stop() == 0
    receipts = [receipt for report in feed.reports() for receipt in report.receipts]
    assert len(receipts) == len(load.answers)
    ordered = {(seq, version) for kind, version, seq in feed.events() if kind == "serving"}
    assert {(receipt.seq, receipt.version) for receipt in receipts} <= ordered
    assert all(receipt.digest == known[receipt.version] for receipt in receipts)
    assert all(
        receipt.rows == 1 and f"[{receipt.version}]" in receipt.output for receipt in receipts
    )
    windows = [window for report in feed.reports() for window in report.traffic]
    assert sum(window.requests for window in windows) == len(load.answers)
    assert sum(window.failures for window in windows) == 0
    batches = [report.batch for report in feed.reports()]
    assert batches == sorted(set(batches))


def test_a_version_that_does_not_load_never_serves(feed, gateway, sklearn_models, custom_model):
    known = digests(feed, sklearn_models)
    bad = feed.add_model(custom_model("bad", fails=True))
    feed.point(1, known[1], seq=1)
    running = gateway().wait_listening().wait_serving(1)
    feed.point(2, bad, seq=2)
    eventually(lambda: ("load_failed", 2, 2) in feed.events(), "the load fails")
    reason = next(
        e.detail for report in feed.reports() for e in report.events if e.kind == "load_failed"
    )
    assert "does not want to be loaded" in reason
    assert running.ask().headers["x-lastgood-version"] == "1"
    failure = running.status()["failures"][0]
    assert failure["attempts"] == 1
    assert "does not want to be loaded" in failure["reason"]
    # A new order of the same version is a new chance; the old one is not tried over and over.
    feed.point(2, bad, seq=3)
    eventually(lambda: ("load_failed", 2, 3) in feed.events(), "the load fails again")
    assert [kind for kind, _, _ in feed.events()].count("load_failed") == 2


def test_a_damaged_object_is_refused_by_name_and_served_once_repaired(
    feed, gateway, sklearn_models
):
    known = digests(feed, sklearn_models)
    feed.point(1, known[1], seq=1)
    running = gateway().wait_listening().wait_serving(1)
    entry = feed.manifest(known[2]).file("model.pkl")
    stored = feed.object_path(entry.digest)
    good = stored.read_bytes()
    stored.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    feed.point(2, known[2], seq=2)
    eventually(lambda: ("load_failed", 2, 2) in feed.events(), "the load fails")
    reason = next(
        e.detail for report in feed.reports() for e in report.events if e.kind == "load_failed"
    )
    assert "'model.pkl'" in reason
    assert running.ask().json() == {"predictions": [1]}
    # The control: the same bytes, undamaged, are served.
    stored.write_bytes(good)
    feed.point(2, known[2], seq=3)
    running.wait_serving(2)


def test_flapping_ends_at_the_newest_order(feed, gateway, sklearn_models, custom_model):
    known = digests(feed, sklearn_models)
    other = feed.add_model(custom_model("other"))
    feed.point(1, known[1], seq=1)
    running = gateway().wait_listening().wait_serving(1)
    for seq, version in enumerate([2, 1, 3, 1, 2, 3], start=2):
        feed.point(version, known[version], seq=seq)
        time.sleep(0.05)
    feed.point(4, other, seq=8)
    running.wait_serving(4, 8)
    feed.point(1, known[1], seq=9)
    running.wait_serving(1, 9)
    feed.point(2, known[2], seq=10)
    feed.point(1, known[1], seq=11)
    running.wait_serving(1, 11)
    serving = [seq for kind, _, seq in feed.events() if kind == "serving"]
    assert serving == sorted(serving)
    assert running.ask().json() == {"predictions": [1]}


def test_an_unset_ref_keeps_what_serves_and_an_external_version_is_refused(
    feed, gateway, sklearn_models
):
    known = digests(feed, sklearn_models)
    feed.point(None, None, seq=0)
    running = gateway().wait_listening()
    eventually(lambda: ("unfollowed", None, 0) in feed.events(), "it says that it follows nothing")
    answer = running.ask()
    assert (answer.status_code, answer.headers["x-lastgood-version"]) == (503, "none")
    assert answer.headers["retry-after"] == "1"
    assert (
        running.client.get("/health").status_code == running.client.get("/ping").status_code == 503
    )
    feed.point(1, known[1], seq=1)
    running.wait_serving(1)
    feed.point(None, None, seq=2)
    eventually(lambda: ("unfollowed", None, 2) in feed.events(), "it says that the ref was unset")
    assert running.ask().json() == {"predictions": [1]}
    assert running.status()["ordered"]["version"] is None
    feed.point(9, None, seq=3)
    eventually(lambda: ("load_failed", 9, 3) in feed.events(), "the external version is refused")
    assert running.ask().json() == {"predictions": [1]}
