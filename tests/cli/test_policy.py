import pytest

POLICY = """
[environments.staging]
[environments.production]
gates = [
  {{ type = "metric", metric = "auc", min = 0.15 }},
  {{ type = "command", name = "smoke", command = ["sh", "-c", "echo $LASTGOOD_REFERENCE; {script}"] }},
]
"""


@pytest.fixture
def governed(churn, tmp_path):
    def govern(script):
        (tmp_path / "lastgood.toml").write_text(POLICY.format(script=script))
        assert churn("policy", "apply", "--reason", "rules").code == 0
        return churn

    return govern


def test_policy_is_checked_applied_and_shown(churn, tmp_path):
    assert churn("policy", "check").code == 2
    assert "No policy" in churn("policy", "show").out
    (tmp_path / "lastgood.toml").write_text("[environments.p]\ngate = []")
    answer = churn("policy", "check")
    assert answer.code == 2
    assert "did you mean `gates`" in answer.err
    (tmp_path / "lastgood.toml").write_text("[environments.staging]\n[environments.production]\n")
    assert "staging -> production" in churn("policy", "check").out
    assert churn("policy", "apply", "--reason", "x").code == 0
    assert "[environments.staging]" in churn("policy", "show").out
    assert churn("policy", "show", "--at", "2020-01-01", "--json").json["digest"] is None
    assert churn("policy", "show", "--json").json["actor"] == "ana"


def test_the_policy_may_name_who_may_change_it(churn, tmp_path):
    file = tmp_path / "lastgood.toml"
    file.write_text('apply = ["ana"]\n[environments.production]\n')
    assert "may be changed by ana" in churn("policy", "check").out
    assert churn("policy", "apply").code == 0
    file.write_text('apply = ["bob"]\n[environments.production]\n')
    refused = churn("policy", "apply", "--actor", "bob", "--reason", "mine")
    assert refused.code == 3
    assert "bob may not change the policy; the policy names ana" in refused.err
    assert "refused: bob may not change" in churn("log", "-n", "1").out
    slip = churn("policy", "apply")
    assert slip.code == 3
    assert "--hand-over" in slip.err
    assert churn("policy", "apply", "--hand-over").code == 0
    assert churn("policy", "apply", "--actor", "bob").code == 0  # already so


def test_gates_say_what_is_missing_and_promote_refuses_with_exit_code_3(governed):
    churn = governed("exit 0")
    answer = churn("check", "churn/2", "--to", "production")
    assert answer.code == 3
    assert "has no evidence" in answer.out
    refused = churn("promote", "churn/2", "--to", "production", "--reason", "x")
    assert refused.code == 3
    assert "--run" in refused.err
    assert churn("log", "churn", "-n", "1", "--json").json["operations"][0]["kind"] == "refuse"


def test_a_plan_shows_every_verdict_and_exits_as_the_promotion_would(governed):
    churn = governed("exit 0")
    before = churn("log", "--json").out
    plan = ("promote", "churn/2", "--to", "production", "--plan")
    answer = churn(*plan)
    assert answer.code == 3
    for part in ("version 1 -> version 2", "pass     metric auc", "unknown  smoke", "next: smoke"):
        assert part in answer.out
    assert "it would be refused" in answer.out
    planned = churn(*plan, "--json").json
    assert (planned["allowed"], planned["blocking"]) == (False, ["smoke"])
    assert churn("log", "--json").out == before
    assert churn("check", "churn/2", "--to", "production", "--run").code == 0
    answer = churn(*plan)  # the control: the same version, after its program said pass
    assert answer.code == 0
    assert "refused" not in answer.out


@pytest.mark.parametrize(
    ("script", "outcome"), [("exit 0", "pass"), ("exit 1", "fail"), ("exit 7", "unknown")]
)
def test_a_program_of_the_operator_judges_where_it_is_run(governed, script, outcome):
    churn = governed(script)
    view = churn("check", "churn/2", "--to", "production", "--run", "--json")
    assert view.code == (0 if outcome == "pass" else 3)
    verdict = view.json["verdicts"][1]
    assert (verdict["gate"], verdict["outcome"]) == ("smoke", outcome)
    assert "churn/2" in verdict["message"]


def test_approve_and_reject(churn, tmp_path):
    rules = '[environments.production]\napprovals = [{ meaning = "reviewed" }]\n'
    (tmp_path / "lastgood.toml").write_text(rules)
    assert churn("policy", "apply").code == 0
    ask = ("check", "churn/2", "--to", "production")
    said = ("churn/2", "--to", "production", "--meaning", "reviewed", "--reason", "x")
    assert "1 more must say 'reviewed'" in churn(*ask).out
    assert churn("approve", *said).code == 3
    assert churn("approve", *said, "--actor", "bob").code == 0
    assert churn(*ask).code == 0
    assert churn("reject", *said, "--actor", "eve").code == 0
    assert "rejected by eve" in churn(*ask).out
    shown = churn("show", "churn/2").out
    assert "reviewed for production, by bob just now, until " in shown
    assert "rejected for production as reviewed, by eve just now: x" in shown
    assert churn("promote", "churn/2", "--to", "production", "--reason", "x").code == 3
    assert "production: refused just now" in churn("show", "churn/2").out
    assert churn("approve", *said, "--actor", "eve", "--expires", "soon").code == 2


def test_a_hold_with_data_works_on_a_data_directory(churn, model, tmp_path):
    (tmp_path / "rows.csv").write_text("x\n1\n")
    for number in (4, 5):
        (model / "weights.bin").write_bytes(b"weights %d" % number)
        given = ("--name", "churn", "--train-data", "rows.csv")
        assert churn("register", model, *given).code == 0
    digest = churn("show", "churn/4", "--json").json["manifest"]["data"][0]["digest"]
    said = ("--reason", "poisoned")
    assert churn("hold", "add", "churn/4", "--with-data", *said).code == 0
    assert churn("promote", "churn/5", "--to", "production", *said).code == 3
    assert churn("hold", "release", "churn/4", *said).code == 0
    assert churn("hold", "add", "churn/4", "--only-data", digest[7:19], *said).code == 0
    assert churn("promote", "churn/5", "--to", "production", *said).code == 3
    assert churn("hold", "add", "churn/2", "--only-data", digest, *said).code == 2


def test_pause_and_hold(churn):
    go = ("promote", "churn/2", "--to", "production", "--reason", "x")
    assert churn("pause", "production", "--reason", "audit").code == 0
    assert "paused" in churn("check", "churn/2", "--to", "production").out
    assert churn(*go).code == 3
    paused = churn("resume", "production", "--reason", "over", "--json")
    assert paused.json["undo"].startswith("lastgood pause production")
    held = churn("hold", "add", "churn/2", "--owner", "bob", "--expires", "3d", "--reason", "odd")
    assert held.code == 0
    assert churn(*go).code == 3
    assert ", ask bob: odd" in churn("show", "churn/2").out
    assert churn("hold", "release", "churn/2", "--reason", "fine").code == 0
    assert churn(*go).code == 0
    assert churn("hold", "add", "churn/2", "--expires", "soon", "--reason", "x").code == 2
    assert churn("hold", "add", "churn/2").code == 2


GOLDEN = '[environments.production]\ngates = [{ type = "golden" }]\n'


def test_golden_answers_are_asked_for_again_where_the_command_is_called(
    lastgood, loadable, tmp_path, monkeypatch
):
    lastgood("init")
    (tmp_path / "lastgood.toml").write_text(GOLDEN)
    assert lastgood("policy", "apply").code == 0
    assert lastgood("register", loadable, "--name", "churn").code == 0
    go = ("promote", "churn/1", "--to", "production", "--reason", "x")
    refused = lastgood(*go)  # the load test at registration is not enough
    assert refused.code == 3
    assert "lastgood check churn/1 --to production --run" in refused.err
    ask = ("check", "churn/1", "--to", "production", "--run", "--json")
    for name, value, told in (
        ("LIBRARY", "gone", "does not answer: ImportError: No module named 'old_library'"),
        ("SHIFT", "0.001", "otherwise than when it was registered: answer[0]: 1.5 -> 1.501"),
    ):
        with monkeypatch.context() as here:
            here.setenv(name, value)
            answer = lastgood(*ask)
        (verdict,) = answer.json["verdicts"]
        assert (answer.code, verdict["outcome"]) == (3, "fail")
        assert told in verdict["message"]
        assert lastgood(*go).code == 3
    answer = lastgood(*ask)
    assert answer.code == 0
    assert "recorded by ana" in answer.json["verdicts"][0]["message"]
    assert lastgood(*go).code == 0


def test_without_golden_answers_nothing_is_known(churn, tmp_path):
    (tmp_path / "lastgood.toml").write_text(GOLDEN)
    assert churn("policy", "apply").code == 0
    answer = churn("check", "churn/2", "--to", "production", "--run", "--json")
    (verdict,) = answer.json["verdicts"]
    assert (answer.code, verdict["outcome"]) == (3, "unknown")
    assert "no golden answers" in verdict["message"]
