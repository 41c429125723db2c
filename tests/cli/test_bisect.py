"""bisect as a user types it."""

import pytest


@pytest.fixture
def ten(lastgood, model):
    lastgood("init")
    for number in range(1, 11):
        (model / "weights.bin").write_bytes(b"%d" % number)
        lastgood("register", model, "--name", "churn", "--metric", f"auc={number}")
    return lastgood


CHECK = 'test $(cat "$LASTGOOD_MODEL_DIR/weights.bin") -lt 7'


def test_the_first_bad_version_and_what_changed(ten):
    answer = ten("bisect", "churn", "--good", "1", "--bad", "churn/10", "--run", CHECK, "--json")
    assert answer.code == 0
    assert (answer.json["first_bad"], answer.json["last_good"]) == (7, 6)
    assert len(answer.json["tried"]) <= 4
    assert "metrics" in {d["section"] for d in answer.json["diff"]["differences"]}
    told = ten("bisect", "churn", "--good", "1", "--bad", "10", "--run", CHECK)
    assert "churn/7 is the first bad version" in told.out


def test_versions_that_cannot_be_told_are_skipped(ten, tmp_path):
    skips = 'case "$LASTGOOD_REFERENCE" in churn/5|churn/6|churn/7) exit 125;; esac; ' + CHECK
    answer = ten("bisect", "churn", "--good", "1", "--bad", "10", "--run", skips, "--json").json
    assert 7 in {answer["first_bad"], *answer["suspects"]}
    damaged = ten("show", "churn/6", "--json").json["manifest"]["files"][-1]["digest"][7:]
    path = tmp_path / ".lastgood" / "objects" / "sha256" / damaged[:2] / damaged[2:]
    path.chmod(0o644)
    path.write_bytes(b"x")
    answer = ten("bisect", "churn", "--good", "1", "--bad", "10", "--run", CHECK, "--json").json
    assert (answer["first_bad"], answer["last_good"]) == (7, 5)
    assert answer["suspects"] == [6]


def test_a_command_that_says_nothing_ends_the_search(ten):
    answer = ten("bisect", "churn", "--good", "1", "--bad", "10", "--run", "kill -9 $$")
    assert (answer.code, "neither good nor bad" in answer.err) == (2, True)
    typo = ten("bisect", "churn", "--good", "1", "--bad", "10", "--run", "./no-such-check")
    assert (typo.code, "cannot run the command" in typo.err) == (2, True)
    assert ten("bisect", "churn", "--good", "5", "--bad", "2", "--run", "true").code == 2
    slow = ten("bisect", "churn", "--good", "1", "--bad", "9", "--run", "sleep 9", "--timeout", "1")
    assert slow.code == 2
