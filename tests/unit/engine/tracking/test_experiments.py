"""Experiments: names, locations, lifecycle, tags."""

import pytest

from lastgood.engine.tracking.runs import NewRun
from lastgood.engine.tracking.searches import Query
from lastgood.errors import AlreadyExists, InvalidInput, NotFound


@pytest.fixture
def experiments(desk):
    return desk.tracking.experiments


def create(desk, name, **options):
    return desk.tracking.experiments.create(name, **({"tags": {}} | options)).result()


def test_the_default_experiment_is_there_from_the_start(experiments):
    assert experiments.get("0").name == "Default"


def test_an_experiment_keeps_what_it_was_given(desk, experiments):
    made = create(desk, "customer-churn", tags={"team": "growth"})
    for found in (experiments.get(str(made.id)), experiments.named("customer-churn")):
        assert found == made
        assert found.tags == {"team": "growth"}
        assert found.artifact_location == f"mlflow-artifacts:/{made.id}"


def test_a_location_is_recorded_as_given(desk, experiments):
    made = create(desk, "elsewhere", artifact_location="s3://bucket/models/")
    run, _ = desk.tracking.runs.create(NewRun(experiment_id=str(made.id), tags={})).result()
    assert run.artifact_uri == f"s3://bucket/models/{run.run_id}/artifacts"


@pytest.mark.parametrize(
    "location",
    [
        "mlflow-artifacts:/../secret",
        "s3://bucket/%2e%2e/other",
        "s3://bucket/%252E%252e/other",
        "https://host/x?y=1",
        "https://host/x#y",
        "runs:/abc/model",
        "mlflow-artifacts:/" + "x" * 3000,
    ],
)
def test_a_location_that_could_lead_elsewhere_is_refused(experiments, location):
    with pytest.raises(InvalidInput):
        experiments.create("x", artifact_location=location, tags={})


@pytest.mark.parametrize("name", ["", "   ", "x" * 501, "nul\x00"])
def test_names_that_cannot_be(experiments, name):
    with pytest.raises(InvalidInput):
        experiments.create(name, tags={})


def test_a_name_stays_taken_after_deletion(desk, experiments):
    made = create(desk, "taken")
    with pytest.raises(AlreadyExists, match="already exists"):
        create(desk, "taken")
    experiments.delete(str(made.id)).result()
    with pytest.raises(AlreadyExists, match="deleted state"):
        create(desk, "taken")
    assert experiments.named("taken").lifecycle == "deleted"


def test_deleting_hides_the_runs_and_restoring_brings_all_back(desk, experiments):
    made = create(desk, "x")
    number = str(made.id)
    kept, deleted = desk.run(experiment=number), desk.run(experiment=number)
    desk.tracking.runs.delete(deleted).result()
    experiments.delete(number).result()
    assert desk.found(experiments=[number]) == []
    with pytest.raises(InvalidInput, match="must be in the 'active' state"):
        desk.run(experiment=number)
    with pytest.raises(InvalidInput, match="must be in the 'active' state"):
        experiments.set_tag(number, "a", "b").result()
    with pytest.raises(NotFound, match=f"No Experiment with id={number} exists"):
        experiments.delete(number).result()
    experiments.restore(number).result()
    assert set(desk.found(experiments=[number])) == {kept, deleted}
    with pytest.raises(NotFound):
        experiments.restore(number).result()


def test_renaming(desk, experiments):
    made, other = create(desk, "old"), create(desk, "other")
    desk.time[0] += 5
    experiments.rename(str(made.id), "new").result()
    assert experiments.get(str(made.id)).name == "new"
    assert experiments.get(str(made.id)).changed_ms == made.changed_ms + 5
    with pytest.raises(AlreadyExists):
        experiments.rename(str(made.id), "other").result()
    experiments.delete(str(other.id)).result()
    with pytest.raises(InvalidInput):
        experiments.rename(str(other.id), "third").result()


def test_tags_are_set_replaced_and_deleted(desk, experiments):
    experiments.set_tag("0", "a", "1").result()
    experiments.set_tag("0", "a", "2").result()
    assert experiments.get("0").tags == {"a": "2"}
    experiments.delete_tag("0", "a").result()
    assert experiments.get("0").tags == {}
    with pytest.raises(NotFound, match="No tag with name: a"):
        experiments.delete_tag("0", "a").result()
    with pytest.raises(InvalidInput, match="exceeds the maximum length of 20000 characters"):
        experiments.set_tag("0", "a", "x" * 20_001)


@pytest.mark.parametrize(
    ("text", "error"),
    [("abc", InvalidInput), ("99", NotFound), ("9" * 25, NotFound), ("-1", NotFound)],
)
def test_ids_that_name_nothing(experiments, text, error):
    with pytest.raises(error):
        experiments.get(text)


def names(desk, filter_text="", *, view="ACTIVE_ONLY", order_by=(), most=100):
    query = Query(filter=filter_text, view=view, order_by=order_by, results_max=most)
    return [one.name for one in desk.tracking.searches.experiments(query).items]


def test_search(desk, experiments):
    for i, name in enumerate(["Alpha", "beta", "gamma"]):
        desk.time[0] += 10
        create(desk, name, tags={"n": str(i)})
    experiments.delete(str(experiments.named("gamma").id)).result()
    assert names(desk) == ["beta", "Alpha", "Default"]
    assert names(desk, view="DELETED_ONLY") == ["gamma"]
    assert names(desk, view="ALL", order_by=["name ASC"]) == ["Alpha", "Default", "beta", "gamma"]
    twice = ["name ASC", "name DESC"]
    assert names(desk, view="ALL", order_by=twice) == names(desk, view="ALL", order_by=twice[:1])
    assert names(desk, "name LIKE 'al%'") == []
    assert names(desk, "name ILIKE 'al%'") == ["Alpha"]
    assert names(desk, "tags.n = '1' AND name != 'Alpha'") == ["beta"]
    assert names(desk, "tags.n IS NULL") == ["Default"]
    assert names(desk, f"creation_time > {desk.time[0] - 20}") == ["beta"]
    with pytest.raises(InvalidInput, match="max_results"):
        names(desk, most=0)
    with pytest.raises(InvalidInput):
        names(desk, "metrics.a > 1")
