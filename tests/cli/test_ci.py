"""What a pipeline does after training, as one command: the whole script of the MLflow course."""

import pytest

GATES = """
[environments.staging]
[environments.production]
gates = [
  { type = "metric", metric = "auc", min = 0.5 },
  { type = "better_than_live", metric = "auc" },
]
"""


@pytest.fixture
def pipeline(lastgood, model, tmp_path):
    """Train a model with that figure and hand it over, as CI does."""
    assert lastgood("init").code == 0
    data = tmp_path / "holdout.csv"
    data.write_text("a,b\n1,2\n")
    (tmp_path / "lastgood.toml").write_text(GATES)
    assert lastgood("policy", "apply").code == 0

    def run(auc, *more):
        (model / "weights.bin").write_bytes(f"weights {auc}".encode())
        given = ("--metric", f"auc={auc}", "--train-data", data, "--reason", "build 7")
        return lastgood("ci", "promote", model, "--name", "churn", *given, "--json", *more)

    run.lastgood = lastgood
    return run


def state(pipeline):
    views = pipeline.lastgood("live", "churn", "--json").json["live"]
    return {view["ref"]: view["version"] for view in views}


def test_the_first_version_goes_live_a_worse_one_is_archived_a_better_one_follows(pipeline):
    first = pipeline(0.8)
    assert (first.code, first.json["live"], first.json["version"]) == (0, True, 1)
    worse = pipeline(0.7)
    assert worse.code == 3
    assert worse.json["error"]["kind"] == "Blocked"
    assert worse.json["archived"]["operation"]
    assert state(pipeline) == {"production": 1, "staging": None}
    shown = pipeline.lastgood("show", "churn/2", "--json").json
    assert shown["stage"] == "Archived"
    better = pipeline(0.9)
    assert (better.code, better.json["version"]) == (0, 3)
    assert state(pipeline)["production"] == 3


def test_the_same_build_again_changes_nothing(pipeline):
    assert pipeline(0.8).code == 0
    count = len(pipeline.lastgood("log", "--json").json["operations"])
    again = pipeline(0.8)
    assert (again.code, again.json["version"]) == (0, 1)
    assert len(pipeline.lastgood("log", "--json").json["operations"]) == count


def test_what_only_waits_for_people_stays_in_staging(pipeline, tmp_path):
    rules = '[environments.staging]\n[environments.production]\napprovals = [{ meaning = "approved" }]\n'
    (tmp_path / "lastgood.toml").write_text(rules)
    assert pipeline.lastgood("policy", "apply").code == 0
    waiting = pipeline(0.8)
    assert (waiting.code, waiting.json["archived"]) == (3, None)
    assert state(pipeline) == {"staging": 1}
    said = ("--to", "production", "--reason", "x", "--actor", "bob")
    assert pipeline.lastgood("approve", "churn/1", *said).code == 0
    assert pipeline(0.8).code == 0
    assert state(pipeline)["production"] == 1


def test_people_read_what_happened(pipeline, model):
    (model / "weights.bin").write_bytes(b"poor")
    answer = pipeline.lastgood("ci", "promote", model, "--name", "churn", "--metric", "auc=0.1")
    assert answer.code == 3
    assert "may not go" in answer.out
    assert "not promoted" in answer.out
    assert pipeline.lastgood("ci", "promote", "churn/1", "--name", "other").code == 2
    assert pipeline.lastgood("ci", "promote", "runs:/nothing/model", "--name", "churn").code == 4
