"""Logged models: lifecycle, tags, parameters, metrics, search."""

import pytest

from lastgood.core.tracking import Metric
from lastgood.engine.tracking.logged_models import NewModel
from lastgood.engine.tracking.searches import DatasetFilter, ModelOrder, ModelQuery
from lastgood.errors import InvalidInput, NotFound


@pytest.fixture
def models(desk):
    return desk.tracking.logged_models


def make(desk, name="model", **options):
    desk.time[0] += 1000
    new = NewModel(**({"experiment_id": "0", "name": name, "params": {}, "tags": {}} | options))
    return desk.tracking.logged_models.create(new).result()


def test_a_model_from_creation_to_deletion(desk, models):
    made = make(desk, source_run_id="r", params={"depth": "6"}, tags={"a": "1"})
    assert made.status == "LOGGED_MODEL_PENDING"
    assert made.artifact_uri == f"mlflow-artifacts:/0/models/{made.model_id}/artifacts"
    assert models.get(made.model_id) == made
    assert (
        models.finalize(made.model_id, "LOGGED_MODEL_READY").result().status == "LOGGED_MODEL_READY"
    )
    models.delete(made.model_id).result()
    with pytest.raises(NotFound, match="not found"):
        models.get(made.model_id)
    assert models.get(made.model_id, allow_deleted=True).status == "LOGGED_MODEL_READY"


def test_what_registering_asks(desk):
    made = make(desk)
    run_id = desk.run(params=[("a", "1")])
    tracking, database = desk.tracking, desk.engine.kernel.database
    assert database.read(lambda c: tracking.logged_model(c, made.model_id)) == made
    run, facts = database.read(lambda c: tracking.run_facts(c, run_id))
    assert (run.run_id, facts.params) == (run_id, {"a": "1"})
    with pytest.raises(NotFound):
        database.read(lambda c: tracking.logged_model(c, "m-0"))
    with pytest.raises(NotFound):
        database.read(lambda c: tracking.run_facts(c, "0"))


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a.b", "a%b", 'a"b', "a'b", "x" * 501])
def test_names_that_are_refused(desk, name):
    with pytest.raises(InvalidInput):
        make(desk, name=name)


def test_a_name_is_drawn_when_none_is_given(desk):
    assert make(desk, name=None).name.count("-") == 2


def test_tags_and_params(desk, models):
    made = make(desk, params={"a": "1"})
    models.set_tags(made.model_id, {"t": "1"}).result()
    assert models.get(made.model_id).tags == {"t": "1"}
    models.set_tags(made.model_id, {"t": "2"}).result()
    models.log_params(made.model_id, {"a": "1", "b": "2"}).result()
    found = models.get(made.model_id)
    assert (found.tags, found.params) == ({"t": "2"}, {"a": "1", "b": "2"})
    with pytest.raises(InvalidInput, match="Changing param values"):
        models.log_params(made.model_id, {"a": "2"}).result()
    models.set_tags(made.model_id, {"any $name": "1"}).result()
    for wrong in ("", "x" * 251):
        with pytest.raises(InvalidInput):
            models.set_tags(made.model_id, {wrong: "1"})
    models.delete_tag(made.model_id, "t").result()
    with pytest.raises(NotFound):
        models.delete_tag(made.model_id, "t").result()
    with pytest.raises(InvalidInput, match="at most 100 params"):
        models.log_params(made.model_id, {f"p{i}": "" for i in range(101)})
    models.log_params(made.model_id, {"long": "x" * 100_000}).result()
    assert models.get(made.model_id).params["long"] == "x" * 100_000  # never cut
    with pytest.raises(InvalidInput, match="exceeds the maximum length of 100000"):
        models.log_params(made.model_id, {"longer": "x" * 100_001})


def test_metrics_that_name_the_model_are_its_metrics_too(desk, models):
    made = make(desk)
    run_id = desk.run()
    point = Metric("auc", 0.9, 10, 1, made.model_id, "churn", "ab12")
    for _ in range(2):
        desk.log(run_id, metrics=[point, Metric("other", 1.0, 1)])
    (found,) = models.get(made.model_id).metrics
    assert (found.key, found.value, found.run_id, found.dataset_name) == (
        "auc",
        0.9,
        run_id,
        "churn",
    )
    assert set(desk.latest(run_id)) == {"auc", "other"}


def search(desk, filter_text="", *, experiments=("0",), most=50, token="", **options):
    query = ModelQuery(
        experiment_ids=experiments, filter=filter_text, results_max=most, token=token, **options
    )
    return desk.tracking.searches.logged_models(query)


def names(desk, *args, **options):
    return [model.name for model in search(desk, *args, **options).items]


@pytest.fixture
def three(desk):
    a, b, c = (
        make(desk, "a", params={"p": "1"}),
        make(desk, "b", tags={"t": "1"}),
        make(desk, "c", source_run_id="r1"),
    )
    run_id = desk.run()
    points = [
        Metric("auc", 0.8, 1, 0, a.model_id, "train", "d1"),
        Metric("auc", 0.6, 2, 0, a.model_id, "test", "d2"),
        Metric("auc", 0.7, 1, 0, b.model_id, "test", "d2"),
    ]
    desk.log(run_id, metrics=points)
    desk.tracking.logged_models.finalize(c.model_id, "LOGGED_MODEL_READY").result()
    return a, b, c


def test_search(desk, three):
    assert names(desk) == ["c", "b", "a"]
    assert names(desk, "name = 'a'") == ["a"]
    assert names(desk, f"source_run_id = 'r1' AND model_id = '{three[2].model_id}'") == ["c"]
    assert names(desk, "status = 'LOGGED_MODEL_READY'") == ["c"]
    assert names(desk, "params.p = '1'") == ["a"]
    assert names(desk, "tags.t = '1'") == ["b"]
    assert names(desk, "metrics.auc > 0.65") == ["b", "a"]
    assert names(desk, "metrics.auc > 0.65", datasets=[DatasetFilter("test")]) == ["b"]
    assert names(desk, datasets=[DatasetFilter("train", "d1")]) == ["a"]
    assert names(desk, experiments=["7"]) == []
    desk.tracking.logged_models.delete(three[1].model_id).result()
    assert names(desk) == ["c", "a"]


def test_a_text_may_be_compared_with_a_bare_number(desk, three):
    decimal = make(desk, "d", params={"p": "1.0"}, tags={"t": "1e3"})
    assert names(desk, "params.p = 1") == ["a"]
    assert names(desk, "params.p = 1.0") == ["d"]  # as it is written, not what it is worth
    assert names(desk, "tags.t LIKE 1e3") == ["d"]
    assert names(desk, "name != 1") == ["d", "c", "b", "a"]
    assert names(desk, f"model_id = '{decimal.model_id}' AND name = -1") == []
    with pytest.raises(InvalidInput, match="expected a number"):
        names(desk, "creation_timestamp > '1'")


def test_orders(desk, three):
    assert names(desk, order_by=[ModelOrder("name")]) == ["a", "b", "c"]
    assert names(desk, order_by=[ModelOrder("creation_timestamp")]) == ["a", "b", "c"]
    assert names(desk, order_by=[ModelOrder("metrics.auc", ascending=False)]) == ["b", "a", "c"]
    on_train = ModelOrder("metrics.auc", ascending=False, dataset=DatasetFilter("train"))
    assert names(desk, order_by=[on_train]) == ["a", "c", "b"]
    for wrong in ("color", "params.p"):
        with pytest.raises(InvalidInput, match="Invalid order by field name"):
            names(desk, order_by=[ModelOrder(wrong)])


def test_pages_and_their_tokens(desk, three):
    first = search(desk, most=2)
    assert [m.name for m in first.items] == ["c", "b"]
    assert names(desk, most=2, token=first.token) == ["a"]
    for changed in (
        {"filter_text": "name = 'a'"},
        {"experiments": ["0", "1"]},
        {"order_by": [ModelOrder("name")]},
    ):
        with pytest.raises(InvalidInput, match="page token"):
            search(desk, most=2, token=first.token, **changed)


def test_a_page_of_any_size_may_be_asked_for(desk, three):
    assert names(desk, most=10**9) == ["c", "b", "a"]
    for most in (0, -1):
        with pytest.raises(InvalidInput, match="max_results"):
            search(desk, most=most)
