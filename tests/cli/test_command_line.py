"""What holds for every command: options, errors, JSON, pipes, help."""

import os
import subprocess
import sys

import pytest

from lastgood import __version__
from lastgood.cli.app import VERBS, root_command


def subprocess_of(*arguments, **options):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, **options
    )


def test_version(lastgood):
    assert lastgood("--version").out == f"lastgood {__version__}\n"
    done = subprocess_of("-m", "lastgood", "--version")
    assert (done.returncode, done.stdout) == (0, f"lastgood {__version__}\n")


def test_version_imports_nothing_slow():
    script = (
        "import sys; sys.argv[1:] = ['--version']; from lastgood.__main__ import main; main();"
        "sys.exit(any(name in sys.modules for name in ('typer', 'rich', 'pydantic', 'sqlalchemy', 'msgspec')))"
    )
    assert subprocess_of("-c", script).returncode == 0


def test_only_the_verb_asked_for_is_imported():
    script = (
        "import sys; from lastgood.cli.main import run; run(['log', '--help']);"
        "sys.exit(any(f'lastgood.{name}' in sys.modules for name in ('cli.promote', 'engine.open', 'sdk.client')))"
    )
    assert subprocess_of("-c", script).returncode == 0


def test_every_verb_has_help(lastgood):
    overview = lastgood("--help")
    assert overview.code == 0
    for verb in VERBS:
        assert verb in overview.out
        answer = lastgood(verb, "--help")
        assert answer.code == 0, verb
        assert "--json" in answer.out, verb


def test_no_option_of_a_verb_takes_the_place_of_one_of_all_commands():
    everywhere = {option.name for option in root_command().params} - {"help"}
    for verb in VERBS:
        names = [option.name for option in root_command().commands[verb].params]
        assert len(names) == len(set(names)), verb
    assert {"as_json", "data", "server", "actor"} <= everywhere


def test_a_misspelt_verb_suggests_the_near_one(lastgood):
    answer = lastgood("promot")
    assert answer.code == 2
    assert "'promote'" in answer.err
    assert lastgood("frobnicate", "--json").json["error"]["kind"] == "Usage"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--json", "list"],
        ["list", "--json"],
        ["--data", "elsewhere", "list", "--json"],
        ["list", "--data", "elsewhere", "--json"],
        ["--data", "nowhere", "list", "--data", "elsewhere", "--json"],
    ],
)
def test_common_options_may_stand_before_and_after_the_verb(lastgood, arguments):
    for directory in (".lastgood", "elsewhere"):
        assert lastgood("init", "--data", directory).code == 0
    assert lastgood(*arguments).json == {"models": []}


def test_the_data_directory_may_come_from_the_environment(lastgood, tmp_path, monkeypatch):
    monkeypatch.setenv("LASTGOOD_HOME", str(tmp_path / "home"))
    assert lastgood("init").code == 0
    assert (tmp_path / "home" / "lastgood.db").is_file()


def test_a_directory_named_on_the_command_line_wins_over_a_server_in_the_environment(
    lastgood, monkeypatch
):
    lastgood("init", "--data", "here")
    monkeypatch.setenv("LASTGOOD_SERVER", "http://127.0.0.1:9")
    assert lastgood("list", "--data", "here").code == 0
    assert lastgood("list").code == 1


def test_who_acts_is_said_by_option_environment_or_system(churn, monkeypatch):
    churn("--actor", "zoë", "mark", "good", "churn/1")
    churn("mark", "bad", "churn/1")
    monkeypatch.delenv("LASTGOOD_ACTOR")
    churn("mark", "none", "churn/1")
    names = [
        operation["actor"]["name"]
        for operation in churn("log", "-n", "3", "--json").json["operations"]
    ]
    assert names[1:] == ["ana", "zoë"]
    assert names[0]


def test_commands_to_type_next_keep_the_data_directory(lastgood, model):
    lastgood("init", "--data", "my data")
    outcome = lastgood("register", model, "--name", "m", "--data", "my data", "--json").json
    assert outcome["undo"].endswith("--data 'my data'")


def test_errors_are_words_on_stderr_and_with_json_one_document_on_stdout(churn):
    words = churn("show", "churn/9")
    assert (words.code, words.out) == (4, "")
    assert words.err.startswith("error: ")
    assert "hint: " in words.err
    document = churn("show", "churn/9", "--json")
    assert document.code == 4
    assert set(document.json) == {"error"}
    assert set(document.json["error"]) == {"kind", "message", "hint", "exit_code"}
    assert document.json["error"]["kind"] == "NotFound"


def test_moments_in_json_have_an_iso_time_beside_them_but_metrics_do_not(churn, model):
    churn("register", model, "--name", "timed", "--metric", "latency_ms=12")
    shown = churn("show", "timed/1", "--json").json
    assert shown["registered"].startswith("20")
    assert set(shown["manifest"]["metrics"]) == {"latency_ms"}


def test_what_others_wrote_cannot_drive_the_terminal(churn):
    churn(
        "mark",
        "good",
        "churn/1",
        "--reason",
        "\x1b[2J\x1b]0;owned\x07 [bold red]markup[/]",
        "--actor",
        "\u202eeve",
    )
    for arguments in (["log"], ["show", "churn/1"], ["list"], ["live"]):
        out = churn(*arguments).out
        assert not {"\x1b", "\x07", "\u202e"} & set(out)
    assert "[bold red]markup[/]" in churn("log").out


def test_arguments_that_are_no_text_are_refused(churn):
    answer = churn("mark", "good", "churn/1", "--reason", "caf\udce9")
    assert answer.code == 2
    assert "Argument 5" in answer.err


def test_long_values_are_not_cut_in_a_pipe(churn):
    reason = "because " * 100
    churn("mark", "good", "churn/1", "--reason", reason)
    assert reason.strip() in churn("log").out
    assert all(line == line.rstrip() for line in churn("list").out.splitlines())


def test_a_closed_pipe_is_no_error(churn, tmp_path):
    environment = {**os.environ, "LASTGOOD_HOME": str(tmp_path / ".lastgood")}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "lastgood", "log", "--json"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment,
    )
    os.close(writer)
    assert done.stderr == b""


def test_completion_knows_the_verbs():
    environment = {
        **os.environ,
        "_LASTGOOD_COMPLETE": "complete_bash",
        "COMP_WORDS": "lastgood pro",
        "COMP_CWORD": "1",
    }
    done = subprocess_of("-m", "lastgood", env=environment)
    assert "promote" in done.stdout
