"""blame and lineage as a user types them."""


def test_blame(churn):
    shown = churn("blame", "churn@production")
    assert shown.code == 0
    for words in ("version 1", "first", "by ana", "auc=0.1"):
        assert words in shown.out
    assert churn("blame", "churn", "--json").json["ordered_by"]["kind"] == "promote"
    assert churn("blame", "churn/1").code == 2


def test_lineage(churn):
    assert "churn/1" in churn("lineage", "churn/1").out
    assert "churn@production" in churn("lineage", "churn/1", "--down").out
    assert "live nowhere now" in churn("lineage", "churn/2", "--down").out
    assert "live nowhere" not in churn("lineage", "churn/1", "--down").out
    dot = churn("lineage", "churn/1", "--down", "--dot").out
    assert '"churn/1" -> "churn@production";' in dot
    assert churn("lineage", "churn/1", "--up", "--down").code == 2
    first = churn("log", "churn", "--json").json["operations"][-1]["operation"]
    then = churn("lineage", "churn/1", "--down", "--at", first).out
    assert "as of the end of" in then
    assert "live nowhere then" in then
    assert churn("lineage", "data:0123456789", "--down").code == 4


def test_blame_tells_what_the_gates_said_and_such_a_promotion_can_be_undone(churn, tmp_path):
    gate = '[environments.production]\ngates = [{ type = "metric", metric = "auc", min = 0.15 }]\n'
    (tmp_path / "lastgood.toml").write_text(gate)
    assert churn("policy", "apply", "--reason", "rules").code == 0
    assert churn("promote", "churn/2", "--to", "production", "--reason", "better").code == 0
    assert "pass: " in churn("blame", "churn@production").out
    assert churn("undo", "churn", "--reason", "not yet").code == 0
    assert churn("blame", "churn@production", "--json").json["version"]["version"] == 1
