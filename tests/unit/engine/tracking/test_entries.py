"""Calls that log and are stored together come out as if each had been alone, one after the other."""

import threading
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lastgood.core.tracking import Metric
from lastgood.engine.tracking import Tracking, evidence
from lastgood.engine.tracking.entries import log_entries
from lastgood.engine.tracking.evidence import Batch
from lastgood.engine.tracking.runs import NewRun
from lastgood.errors import InvalidInput, NotFound

KEYS = st.sampled_from(["a", "b", "mlflow.runName"])
VALUES = st.sampled_from(["", "1", "2"])
CALLS = st.lists(
    st.tuples(
        st.integers(0, 3),  # which run: the last two are deleted, and unknown
        st.lists(st.builds(Metric, KEYS, st.floats(allow_nan=False), st.integers(0, 5))),
        st.lists(st.tuples(KEYS, VALUES), max_size=3, unique_by=lambda pair: pair[0]),
        st.lists(st.tuples(KEYS, VALUES), max_size=3),
    ),
    max_size=12,
)


def queue_all(desk, calls):
    """Queue calls while the writer is held, so that they become one group; their outcomes."""
    entered, leave = threading.Event(), threading.Event()

    def hold(_tx):
        entered.set()
        leave.wait(30)

    holding = desk.engine.kernel.database.write(hold)
    entered.wait(30)
    futures = [call() for call in calls]
    leave.set()
    holding.result(30)
    return [future.exception(30) for future in futures]


def runs_of(desk):
    made = [desk.run(tags=[("mlflow.runName", "first")]) for _ in range(3)]
    desk.tracking.runs.delete(made[2]).result()
    return [*made, "f" * 32]


def state(desk, run_ids):
    found = []
    for run_id in run_ids[:3]:
        run, facts = desk.tracking.runs.get(run_id)
        tags = dict(facts.tags)
        metrics = sorted((m.key, m.value, m.at_ms, m.step) for m in facts.metrics)
        found.append((run.name, facts.params, tags, metrics))
    return found


def said(errors, run_ids):
    names = {run_id: f"run {i}" for i, run_id in enumerate(run_ids)}
    texts = [f"{type(error).__name__}: {error}" if error else "" for error in errors]
    for run_id, name in names.items():
        texts = [text.replace(run_id, name) for text in texts]
    return texts


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calls=CALLS)
def test_together_is_as_one_after_the_other(desk, calls):
    outcomes = []
    for way in (queue_all, lambda _, made: [call().exception(30) for call in made]):
        run_ids = runs_of(desk)
        made = [
            lambda call=call, run_ids=run_ids: desk.tracking.evidence.log_batch(
                run_ids[call[0]], Batch(metrics=call[1], params=call[2], tags=call[3])
            )
            for call in calls
        ]
        errors = way(desk, made)
        outcomes.append((said(errors, run_ids), state(desk, run_ids)))
    assert outcomes[0] == outcomes[1]


def test_a_value_that_cannot_be_stored_harms_nobody_else(desk):
    run_ids = [desk.run(), desk.run()]
    log = desk.tracking.evidence
    calls = [
        lambda: log.set_tag(run_ids[0], "t", "1"),
        lambda: log.set_tag(run_ids[1], "t", "half of a pair: \ud800"),
        lambda: log.log_metric(run_ids[1], Metric("m", 1.0, 1)),
    ]
    first, second, third = queue_all(desk, calls)
    assert (first, third) == (None, None)
    assert isinstance(second, Exception)
    assert desk.facts(run_ids[0]).tags["t"] == "1"
    assert "t" not in desk.facts(run_ids[1]).tags
    assert desk.latest(run_ids[1])["m"].value == 1.0


def test_a_parameter_is_a_fact_also_among_calls_that_wait_together(desk):
    run_id = desk.run()
    log = desk.tracking.evidence
    calls = [lambda value=value: log.log_param(run_id, "p", value) for value in ("1", "2", "1")]
    outcomes = queue_all(desk, calls)
    assert [type(outcome) for outcome in outcomes] == [type(None), InvalidInput, type(None)]
    assert desk.facts(run_id).params == {"p": "1"}


def test_an_unknown_model_refuses_the_call_alone(desk):
    run_id = desk.run()
    log = desk.tracking.evidence
    calls = [
        lambda: log.log_metric(run_id, Metric("m", 1.0, 1, 0, "m-unknown")),
        lambda: log.log_metric(run_id, Metric("m", 2.0, 1)),
    ]
    first, second = queue_all(desk, calls)
    assert isinstance(first, NotFound)
    assert second is None
    assert desk.latest(run_id)["m"].value == 2.0


def test_what_is_logged_by_calls_that_wait_is_stored_by_one_visit(desk, monkeypatch):
    sizes = []

    def counting(folding, tx, entries):
        sizes.append(len(entries))
        return log_entries(folding, tx, entries)

    run_id = desk.run()
    monkeypatch.setattr(evidence, "log_entries", counting)
    log = Tracking(desk.engine.kernel).evidence
    points = [lambda i=i: log.log_metric(run_id, Metric("m", 1.0, i)) for i in range(5)]
    assert queue_all(desk, [*points, lambda: log.set_tag(run_id, "t", "1")]) == [None] * 6
    assert sizes == [6]


def test_runs_that_are_made_together_are_refused_alone(desk):
    gone = str(desk.tracking.experiments.create("gone", tags={}).result().id)
    desk.tracking.experiments.delete(gone).result()
    made = []

    def create(experiment):
        future = desk.tracking.runs.create(
            NewRun(experiment_id=experiment, name=f"in {experiment}", tags={"t": experiment})
        )
        made.append(future)
        return future

    calls = [partial(create, experiment) for experiment in ("0", gone, "999", "0")]
    outcomes = queue_all(desk, calls)
    assert [type(one) for one in outcomes] == [type(None), InvalidInput, NotFound, type(None)]
    for future in (made[0], made[3]):
        run, facts = future.result()
        assert desk.tracking.runs.get(run.run_id) == (run, facts)
        assert facts.tags == {"t": "0", "mlflow.runName": "in 0"}
        assert run.artifact_uri.endswith(f"/0/{run.run_id}/artifacts")
    assert len(desk.found()) == 2
