"""Each verb as a user types it: what is printed, the shape of its JSON, its exit code."""

import shlex
import stat

import pytest


def test_init_makes_a_data_directory_once(lastgood, tmp_path):
    first = lastgood("init", "--json")
    assert first.json == {"data": str(tmp_path / ".lastgood"), "made": True}
    assert (tmp_path / ".lastgood" / "config.toml").is_file()
    assert lastgood("init", "--json").json["made"] is False
    assert "changed" in lastgood("init").out


def test_init_notes_where_the_objects_are(lastgood, tmp_path, model):
    assert lastgood("init", "--objects", f"file://{tmp_path}/big-disk").code == 0
    assert lastgood("register", model, "--name", "churn").code == 0
    assert lastgood("fsck", "--json").json["objects"] == 3
    assert not (tmp_path / ".lastgood" / "objects").exists()
    moved = lastgood("init", "--objects", "s3://bucket/elsewhere")
    assert (moved.code, "big-disk" in moved.err) == (2, True)


def test_init_refuses_what_is_no_place_for_objects(lastgood, tmp_path):
    answer = lastgood("init", "--objects", "big-disk")
    assert answer.code == 2
    assert "s3://bucket/prefix" in answer.err
    assert not (tmp_path / ".lastgood").exists()


def test_without_a_data_directory_commands_say_how_to_make_one(lastgood, tmp_path):
    for arguments in (["list"], ["log"], ["fsck"], ["register", tmp_path, "--name", "m"]):
        answer = lastgood(*arguments)
        assert answer.code == 4
        assert "lastgood init" in answer.err
    assert not (tmp_path / ".lastgood").exists()


def test_register_prints_version_operation_digest_and_undo(lastgood, model):
    lastgood("init")
    answer = lastgood(
        "register",
        model,
        "--name",
        "churn",
        "--param",
        "C=1",
        "--tag",
        "a=b=c",
        "--description",
        "d",
    )
    assert answer.code == 0
    assert "churn/1 registered" in answer.out
    for word in (
        "operation",
        "op-",
        "digest",
        "sha256:",
        "undo",
        "lastgood yank churn/1",
        "lastgood promote",
    ):
        assert word in answer.out
    shown = lastgood("show", "churn/1", "--json").json
    assert (shown["description"], shown["tags"]) == ("d", {"a": "b=c"})
    assert shown["manifest"]["params"] == {"C": "1"}
    again = lastgood("register", model, "--name", "churn", "--param", "C=1", "--json").json
    assert (again["already"], again["version"], again["operation"]) == (True, 1, None)


def test_register_takes_one_file(lastgood, model):
    lastgood("init")
    assert lastgood("register", model / "weights.bin", "--name", "m").code == 0
    assert [f["path"] for f in lastgood("show", "m/1", "--json").json["manifest"]["files"]] == [
        "weights.bin"
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["nowhere", "--name", "m"], 4, "nothing at"),
        (["empty", "--name", "m"], 2, "holds no files"),
        (["model", "--name", "a/b"], 2, "Invalid Registered Model name"),
        (["model", "--name", "x" * 300], 2, "maximum length"),
        (["model", "--name", "m", "--metric", "auc"], 2, "key=value"),
        (["model", "--name", "m", "--metric", "auc=high"], 2, "not a number"),
        (["model", "--name", "m", "--param", "a=1", "--param", "a=2"], 2, "twice"),
        (["model"], 2, "--name"),
    ],
)
def test_register_refuses_what_cannot_be_right(lastgood, model, tmp_path, arguments, code, word):
    (tmp_path / "empty").mkdir()
    lastgood("init")
    answer = lastgood("register", *arguments)
    assert (answer.code, answer.out) == (code, "")
    assert word in answer.err


def test_list_shows_models_and_versions(churn):
    assert "churn" in churn("list").out
    assert churn("list", "--json").json["models"][0]["refs"] == {"production": 1}
    versions = churn("list", "churn", "--json").json["versions"]
    assert [version["version"] for version in versions] == [3, 2, 1]
    assert "production" in churn("list", "churn").out
    assert churn("list", "nobody").code == 4


def test_show_tells_what_a_version_is_made_of(churn):
    out = churn("show", "churn").out
    for word in ("churn/1", "production", "sha256:", "auc=0.1", "sklearn", "weights.bin", "by ana"):
        assert word in out
    assert churn("show", "churn@champion").code == 4
    assert churn("show", "a/b/c").code == 2


def test_promote_plan_changes_nothing(churn):
    before = churn("log", "--json").json
    answer = churn("promote", "churn/2", "--to", "production", "--plan")
    assert answer.code == 0
    assert "version 1 -> version 2" in answer.out
    plan = churn("promote", "churn/2", "--to", "production", "--plan", "--json").json
    assert (plan["before"], plan["after"]) == (1, 2)
    assert churn("log", "--json").json == before


def test_promote_needs_a_reason(churn):
    answer = churn("promote", "churn/2", "--to", "production")
    assert answer.code == 2
    assert "--reason" in answer.err
    assert churn("live", "--json").json["live"][0]["version"] == 1


def test_the_undo_command_of_a_promotion_undoes_it(churn):
    outcome = churn("promote", "churn/2", "--to", "production", "--reason", "better", "--json").json
    assert churn("show", "churn", "--json").json["version"] == 2
    assert churn(*shlex.split(outcome["undo"])[1:]).code == 0
    assert churn("show", "churn", "--json").json["version"] == 1
    assert outcome["operation"] in churn("log", "-n", "1").out


def test_the_undo_command_of_a_first_promotion_leaves_nothing(churn):
    outcome = churn("promote", "churn/2", "--to", "champion", "--reason", "x", "--json").json
    assert churn(*shlex.split(outcome["undo"])[1:]).code == 0
    assert churn("show", "churn@champion").code == 4


def test_rollback_refuses_without_evidence_and_takes_a_named_version(churn):
    churn("promote", "churn/2", "--to", "production", "--reason", "better")
    refused = churn("rollback", "churn", "--reason", "bad")
    assert refused.code == 3
    assert "proved good" in refused.err
    assert "--to churn/N" in refused.err
    plan = churn("rollback", "churn", "--to", "churn/1", "--plan")
    assert "hold on version 2 in production" in plan.out
    done = churn("rollback", "churn", "--to", "churn/1", "--reason", "bad")
    assert done.code == 0
    for word in (
        "version 2 -> version 1",
        "hold on version 2",
        "operation",
        "undo",
        "--release-hold",
    ):
        assert word in done.out
    held = churn("promote", "churn/2", "--to", "production", "--reason", "again")
    assert held.code == 3
    assert "on hold" in held.err


def test_the_undo_command_of_a_rollback_undoes_it(churn):
    churn("promote", "churn/2", "--to", "production", "--reason", "better")
    outcome = churn("rollback", "churn", "--to", "churn/1", "--json").json
    assert churn(*shlex.split(outcome["undo"])[1:]).code == 0
    shown = churn("show", "churn", "--json").json
    assert (shown["version"], shown["holds"]) == (2, [])


def test_marks_make_last_good_and_their_undo_takes_them_back(churn):
    outcome = churn("mark", "good", "churn/1", "--reason", "checked by hand", "--json").json
    churn("promote", "churn/3", "--to", "production", "--reason", "x")
    plan = churn("rollback", "churn", "--plan", "--json").json
    assert plan["after"] == 1
    assert "marked" in plan["because"]
    assert churn(*shlex.split(outcome["undo"])[1:]).code == 0
    assert churn("rollback", "churn", "--plan").code == 3
    assert churn("mark", "splendid", "churn/1").code == 2


def test_log_tells_who_what_and_why(churn):
    out = churn("log", "churn", "--env", "production").out
    for word in ("promote", "nothing -> version 1", "ana", "first", "op-"):
        assert word in out
    operations = churn("log", "-n", "2", "--json").json["operations"]
    assert [operation["kind"] for operation in operations] == ["promote", "register"]
    assert operations[0]["at"].endswith("Z")
    assert churn("log", "nobody").code == 4


def test_live_shows_now_and_then(churn):
    assert "churn@production" in churn("live").out
    assert "no gateway follows it" in churn("live", "churn").out
    view = churn("live", "--json").json["live"][0]
    assert (view["version"], view["ref"], view["actor"]) == (1, "production", "ana")
    assert churn("live", "--at", "1h ago", "--json").json["live"] == []
    assert "Nothing was live" in churn("live", "--at", "2020-01-01").out
    assert churn("live", "--at", "yesterday-ish").code == 2


def test_diff_exits_1_when_anything_differs(churn):
    answer = churn("diff", "churn/1", "churn/2")
    assert answer.code == 1
    for word in ("metrics", "auc", "0.1", "0.2", "weights.bin"):
        assert word in answer.out
    assert churn("diff", "churn/1", "churn").code == 0
    names = {
        (d["section"], d["name"])
        for d in churn("diff", "churn/1", "churn/2", "--json").json["differences"]
    }
    assert names == {("metrics", "auc"), ("files", "weights.bin")}


def test_why_of_an_unknown_request(churn):
    assert churn("why", "no-such-request").code == 4


def test_fsck_exits_6_and_names_what_is_damaged(churn, tmp_path):
    assert churn("fsck").code == 0
    digest = (
        churn("show", "churn/1", "--json")
        .json["manifest"]["files"][1]["digest"]
        .removeprefix("sha256:")
    )
    path = tmp_path / ".lastgood" / "objects" / "sha256" / digest[:2] / digest[2:]
    path.chmod(stat.S_IWUSR | stat.S_IRUSR)
    path.write_bytes(b"weightz 1")
    answer = churn("fsck")
    assert answer.code == 6
    assert "weights.bin" in answer.out
    assert churn("fsck", "--json").json["problems"][0]["where"] == "object"
    refused = churn("promote", "churn/1", "--to", "staging", "--reason", "x")
    assert refused.code == 6
    assert "weights.bin" in refused.err


def test_waiting_without_gateways_ends_with_7_and_keeps_the_outcome(churn):
    answer = churn(
        "promote", "churn/2", "--to", "production", "--reason", "x", "--wait", "0.2", "--json"
    )
    assert answer.code == 7
    assert answer.json["operation"].startswith("op-")
    assert answer.json["converged"] is False
    assert answer.json["error"]["kind"] == "NotConverged"
    assert churn("show", "churn", "--json").json["version"] == 2
    words = churn("promote", "churn/3", "--to", "production", "--reason", "x", "--wait", "0")
    assert words.code == 7
    assert "op-" in words.out
    assert "no gateway follows it" in words.err


@pytest.mark.parametrize(
    "reference", ["churn/1", "churn@production~1", "churn@sha256:abcd", "models:/churn/latest"]
)
def test_serve_refuses_what_does_not_move(churn, reference):
    answer = churn("serve", reference, "--port", "0")
    assert answer.code == 2
    assert "churn@production" in answer.err


def test_serve_and_server_refuse_the_network(churn):
    for arguments in (["serve", "churn@production"], ["server"]):
        answer = churn(*arguments, "--host", "0.0.0.0", "--port", "0")
        assert answer.code in {1, 3}
        assert "access control" in answer.err


def test_commands_to_copy_hold_names_that_a_shell_would_obey(lastgood, model):
    lastgood("init")
    name = "churn $(touch owned); é"
    first = lastgood("register", model, "--name", name, "--json").json
    assert shlex.split(first["undo"])[2] == f"{name}/1"
    outcome = lastgood("promote", f"{name}/1", "--to", "production", "--reason", "x", "--json").json
    assert lastgood(*shlex.split(outcome["undo"])[1:]).code == 0
    assert lastgood("show", name).code == 4
