"""What is kept of runs in memory is what they are: after any change, of any kind, by any process."""

from contextlib import suppress
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lastgood.api.mlflow.shapes import run_document
from lastgood.core.tracking import ACTIVE, Dataset, DatasetInput, Metric, ModelLink
from lastgood.engine.open import open_engine
from lastgood.engine.tracking import Tracking, searches
from lastgood.engine.tracking.evidence import Batch
from lastgood.engine.tracking.runs import NewRun, RunUpdate
from lastgood.engine.tracking.searches import Query, RunDocuments
from lastgood.errors import InvalidInput, NotFound
from lastgood.store.database import Database
from lastgood.store.tracking import documents, revisions, runs

ALL = Query(view="ALL", results_max=100)


class Watcher:
    """Somebody who searches again and again, and remembers."""

    def __init__(self, tracking, experiment, **options):
        self.made = 0
        self._search = tracking.searches.runs
        self._search_at_once = tracking.searches.runs_at_once
        self._experiment = experiment
        self._documents = RunDocuments(self._make, **options)

    def _make(self, found):
        self.made += 1
        return run_document(found)

    def sees(self, query=ALL):
        return list(self._search([self._experiment], query, self._documents).items)

    def sees_at_once(self, query=ALL):
        page = self._search_at_once([self._experiment], query, self._documents)
        return None if page is None else list(page.items)


def metric(tracking, run, number):
    tracking.evidence.log_metric(run.run_id, Metric(f"m{number % 3}", 0.5, number)).result()


def folded_metric(tracking, run, number):
    metric(tracking, run, number)
    tracking.folding.of_all()


def batch_of(*metrics):
    def log(tracking, run, number):
        pairs = [(f"b{number}", "1")]
        batch = Batch(metrics=metrics, params=pairs, tags=pairs)
        tracking.evidence.log_batch(run.run_id, batch).result()

    return log


def dataset(tracking, run, number):
    one = Dataset(name="d", digest=str(number), source_type="t", source="s")
    tracking.evidence.log_inputs(run.run_id, datasets=[DatasetInput(dataset=one)]).result()


def model_history(tracking, run, number):
    text = f'{{"artifact_path": "{number}", "flavors": {{}}, "utc_time_created": "", "run_id": ""}}'
    tracking.evidence.record_model(run.run_id, text).result()


def other_lifecycle(tracking, run, _number):
    now, _ = tracking.runs.get(run.run_id)
    verb = tracking.runs.delete if now.lifecycle == ACTIVE else tracking.runs.restore
    verb(run.run_id).result()


def other_lifecycle_of_all(tracking, run, _number):
    experiment = str(run.experiment_id)
    now = tracking.experiments.get(experiment)
    verb = tracking.experiments.delete if now.lifecycle == ACTIVE else tracking.experiments.restore
    verb(experiment).result()


def changed(update):
    return lambda tracking, run, number: tracking.runs.update(run.run_id, update(number)).result()


def logged(verb):
    return lambda tracking, run, number: verb(tracking.evidence, run.run_id, str(number)).result()


CHANGES = {
    "metric": folded_metric,
    "parameter": logged(lambda evidence, r, n: evidence.log_param(r, f"p{n}", n)),
    "tag": logged(lambda evidence, r, n: evidence.set_tag(r, "t", n)),
    "tag deleted": lambda tracking, run, _: tracking.runs.delete_tag(run.run_id, "gone").result(),
    "batch": batch_of(),
    "dataset": dataset,
    "model in": logged(lambda evidence, r, n: evidence.log_inputs(r, models=[ModelLink(f"m-{n}")])),
    "model out": logged(lambda evidence, r, n: evidence.log_outputs(r, [ModelLink(f"m-{n}", 1)])),
    "model history": model_history,
    "name": changed(lambda n: RunUpdate(name=f"name {n}")),
    "name as a tag": logged(lambda evidence, r, n: evidence.set_tag(r, "mlflow.runName", n)),
    "status": changed(lambda _: RunUpdate(status="FAILED")),
    "end": changed(lambda n: RunUpdate(end_ms=n)),
    "lifecycle": other_lifecycle,
    "lifecycle of all": other_lifecycle_of_all,
}
OTHERS = {
    "metric that waits": metric,
    "batch with one": batch_of(Metric("b", 1.0, 5)),
    "fold": lambda tracking, *_: tracking.folding.of_all(),
    "nothing": lambda *_: None,
}


@pytest.fixture
def experiment(desk):
    return str(desk.tracking.experiments.create("watched", tags={}).result().id)


def new_run(tracking, experiment):
    run, _ = tracking.runs.create(NewRun(experiment_id=experiment, tags={"gone": "1"})).result()
    return run


@pytest.fixture
def elsewhere(desk, tmp_path):
    """Another process's way to the same registry."""
    with open_engine(tmp_path / "data") as engine:
        yield Tracking(engine.kernel)


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(desk, elsewhere, experiment, change):
    run = new_run(desk.tracking, experiment)
    watcher = Watcher(desk.tracking, experiment)
    before = watcher.sees()
    assert watcher.sees() == before
    assert watcher.made == 1
    CHANGES[change](elsewhere, run, 7)
    after = watcher.sees()
    assert after != before
    assert after == Watcher(desk.tracking, experiment).sees()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("change", CHANGES | OTHERS)
def test_a_run_that_is_read_alone_is_as_a_newcomer_finds_it(desk, elsewhere, experiment, change):
    run = new_run(desk.tracking, experiment)
    kept = RunDocuments(run_document)
    before = desk.tracking.searches.run_at_once(run.run_id, kept)
    if before is None:
        pytest.skip("an event loop does not wait for a database that may be far away")
    assert desk.tracking.searches.run_at_once(run.run_id, kept) == before
    (CHANGES | OTHERS)[change](elsewhere, run, 7)
    after = desk.tracking.searches.run_at_once(run.run_id, kept)
    assert [after] == Watcher(desk.tracking, experiment).sees()
    assert (after == before) == (change in {"fold", "nothing"})
    with pytest.raises(NotFound, match="absent"):
        desk.tracking.searches.run_at_once("absent", kept)


@pytest.mark.parametrize("change", CHANGES)
def test_without_another_revision_no_change_would_be_seen(desk, experiment, change, monkeypatch):
    """The control of the test above."""
    for module in (revisions, runs):
        monkeypatch.setattr(module, "fresh_revision", lambda: 1)
    run = new_run(desk.tracking, experiment)
    watcher = Watcher(desk.tracking, experiment)
    before = watcher.sees()
    CHANGES[change](desk.tracking, run, 7)
    assert watcher.sees() == before
    assert Watcher(desk.tracking, experiment).sees() != before


STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(CHANGES | OTHERS)),
        st.integers(0, 2),
        st.integers(0, 5),
        st.booleans(),
        st.booleans(),
    ),
    max_size=25,
)


@given(STEPS)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_who_remembers_sees_what_a_newcomer_sees(desk, elsewhere, steps):
    desk.time[0] += 1  # for other ids than those of the example before
    experiment = str(desk.tracking.experiments.create(f"watched {uuid4()}", tags={}).result().id)
    its_runs = [new_run(desk.tracking, experiment) for _ in range(3)]
    watchers = [Watcher(tracking, experiment) for tracking in (desk.tracking, elsewhere)]
    for what, which, number, is_elsewhere, is_watched in steps:
        tracking = elsewhere if is_elsewhere else desk.tracking
        with suppress(InvalidInput, NotFound):  # of what is deleted, or has that already
            (CHANGES | OTHERS)[what](tracking, its_runs[which], number)
        if is_watched:
            at_once = watchers[0].sees_at_once()
            seen = [watcher.sees() for watcher in watchers]
            newcomer = Watcher(desk.tracking, experiment).sees()
            assert at_once in (None, newcomer), what
            assert seen == [newcomer, newcomer], what
    assert watchers[0].sees() == Watcher(elsewhere, experiment).sees()


def test_points_that_wait_are_seen_and_what_they_are_in_is_not_kept(desk, experiment):
    run = new_run(desk.tracking, experiment)
    watcher = Watcher(desk.tracking, experiment)
    watcher.sees()
    for number in range(3):
        metric(desk.tracking, run, number)
        assert watcher.sees() == Watcher(desk.tracking, experiment).sees()
    made = watcher.made
    watcher.sees()
    assert watcher.made == made + 1
    desk.tracking.folding.of_all()
    watcher.sees()
    watcher.sees()
    assert watcher.made == made + 2


def test_what_nobody_asked_for_lately_is_forgotten(desk, experiment):
    kept = [new_run(desk.tracking, experiment) for _ in range(10)]
    size = len(Watcher(desk.tracking, experiment).sees()[0])
    watcher = Watcher(desk.tracking, experiment, bytes_max=10 * (size + 450))

    def one(run):
        return watcher.sees(Query(filter=f"run_id = '{run.run_id}'", results_max=1))

    for run in kept:
        one(kept[0])
        one(run)
    assert watcher.made == 10
    one(kept[0])
    one(kept[9])
    assert watcher.made == 10
    one(kept[1])
    assert watcher.made == 11


def test_a_run_larger_than_the_memory_is_shown_all_the_same(desk, experiment):
    run = new_run(desk.tracking, experiment)
    watcher = Watcher(desk.tracking, experiment, bytes_max=1000)
    assert watcher.sees() == watcher.sees()
    assert run.run_id.encode() in watcher.sees()[0]
    assert watcher.made == 3


@pytest.fixture
def patient(monkeypatch):
    """As if nothing took long: how much is done at once shall not depend on the machine."""
    monkeypatch.setattr(searches, "AT_ONCE_S", 60.0)


BY_METRIC = Query(filter="metrics.m1 > 0", results_max=100)


@pytest.fixture
def one_file(desk):
    """Nothing is done at once over PostgreSQL, which is another process."""
    if desk.engine.kernel.database.attempt(lambda _: True, patience_s=60.0) is None:
        pytest.skip("over PostgreSQL no search is done at once")


@pytest.mark.usefixtures("patient", "one_file")
def test_a_search_on_the_event_loop_shows_the_same(desk, experiment):
    run = new_run(desk.tracking, experiment)
    folded_metric(desk.tracking, run, 1)
    watcher = Watcher(desk.tracking, experiment)
    for query in (ALL, BY_METRIC, Query(results_max=1)):
        assert watcher.sees_at_once(query) == watcher.sees(query) != []


@pytest.mark.usefixtures("patient", "one_file")
def test_what_takes_long_is_not_done_on_the_event_loop(desk, experiment):
    its_runs = [new_run(desk.tracking, experiment) for _ in range(searches.MADE_AT_ONCE_MAX + 1)]
    watcher = Watcher(desk.tracking, experiment)
    assert watcher.sees_at_once() is None  # too many documents to make
    everything = watcher.sees()
    assert watcher.sees_at_once() == everything
    metric(desk.tracking, its_runs[0], 1)
    assert watcher.sees_at_once(BY_METRIC) is None  # points to merge
    assert len(watcher.sees(BY_METRIC)) == 1
    assert len(watcher.sees_at_once(BY_METRIC)) == 1
    assert watcher.sees_at_once(Query(results_max=searches.AT_ONCE_MAX + 1)) is None
    long = " AND ".join(["run_id != 'x'"] * 50)
    assert watcher.sees_at_once(Query(filter=long, results_max=100)) is None
    assert watcher.sees(Query(filter=long, results_max=100)) == watcher.sees()


@pytest.mark.usefixtures("one_file")
def test_a_search_without_time_is_given_up(desk, experiment, monkeypatch):
    for _ in range(100):
        new_run(desk.tracking, experiment)
    watcher = Watcher(desk.tracking, experiment)
    everything = watcher.sees()
    monkeypatch.setattr(searches, "AT_ONCE_S", -1.0)
    assert watcher.sees_at_once() is None
    monkeypatch.setattr(searches, "AT_ONCE_S", 60.0)
    assert watcher.sees_at_once() == everything


@pytest.mark.parametrize("cold_s", [-1.0, 3600.0])
def test_pages_from_a_slow_disk_are_the_same_pages(desk, experiment, monkeypatch, cold_s):
    """Where the first runs had to be waited for, several threads read the others before they are read."""
    for number in range(40):
        pairs = [(f"p{number}", str(number))]
        desk.run(experiment=experiment, metrics=[("m", float(number), 1)], params=pairs, tags=pairs)
        if number == 20:
            desk.tracking.folding.of_all()
    plain = Watcher(desk.tracking, experiment).sees()
    warmed, warm = [], Database.warm
    monkeypatch.setattr(documents, "COLD_S", cold_s)
    monkeypatch.setattr(Database, "warm", lambda *args: warmed.append(len(args[1])) or warm(*args))
    assert Watcher(desk.tracking, experiment).sees() == plain
    assert len(plain) == 40
    assert warmed == ([4] if cold_s < 0 else [])
