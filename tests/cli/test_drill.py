"""drill and doctor as a user types them, on models that really load."""

import json
import shutil
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from cli.pyfunc_models import LOADER, write_pyfunc
from lastgood.cli.main import run


def put_live(lastgood):
    """churn/2 is live in production, churn/1 proved good before."""
    lastgood("promote", "churn/1", "--to", "production", "--reason", "x")
    lastgood("mark", "good", "churn/1", "--reason", "it worked")
    assert lastgood("promote", "churn/2", "--to", "production", "--reason", "x").code == 0


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """A registry in which churn/1 has golden answers; made once, because a load test takes seconds."""
    pytest.importorskip("mlflow")
    top = tmp_path_factory.mktemp("registered")
    root, data = write_pyfunc(top / "pyfunc"), ("--data", str(top / ".lastgood"))
    assert run([*data, "init"]) == 0
    for number, more in ((1, ()), (2, ("--no-load-test",))):
        (root / "weights").write_text(str(number))
        assert run([*data, "register", str(root), "--name", "churn", *more]) == 0
    return top / ".lastgood"


@pytest.fixture
def live(lastgood, registered, tmp_path):
    shutil.copytree(registered, tmp_path / ".lastgood")
    put_live(lastgood)
    return lastgood


def outcomes(answer):
    return {step["name"]: step["outcome"] for step in answer.json["steps"]}


def detail(answer, name):
    return next(step["detail"] for step in answer.json["steps"] if step["name"] == name)


def test_a_rehearsal_finds_everything_in_order_and_switches_nothing(live):
    before = live("log", "--json").out
    answer = live("drill", "churn@production", "--json")
    assert (answer.code, answer.json["ready"], answer.json["target"]) == (0, True, 1)
    assert outcomes(answer) == {
        "plan": "pass",
        "signature": "unknown",  # these models state none
        "environment": "pass",
        "bytes": "pass",
        "loads": "pass",
        "answers": "pass",
    }
    assert live("log", "--json").out == before


def test_a_library_upgrade_that_breaks_the_old_model_shows_before_it_is_needed(live, monkeypatch):
    monkeypatch.setenv("LIBRARY", "gone")
    answer = live("drill", "churn@production", "--json")
    assert (answer.code, outcomes(answer)["loads"]) == (1, "fail")
    assert "old_library" in answer.json["reason"]


def test_other_answers_than_when_it_was_registered_show(live, monkeypatch):
    monkeypatch.setenv("SHIFT", "0.001")
    answer = live("drill", "churn@production", "--json")
    assert (answer.code, outcomes(answer)["answers"]) == (1, "fail")
    assert "answer[0]: 1.5 -> 1.501" in answer.json["reason"]
    monkeypatch.setenv("SHIFT", "1e-12")  # the control: within the tolerance
    within = live("drill", "churn")
    assert (within.code, "rollback ready" in within.out) == (0, True)


def test_doctor_tells_of_every_environment(live, tmp_path):
    live("promote", "churn/2", "--to", "champion", "--reason", "x")
    everywhere = live("doctor", "--all", "--json")
    assert everywhere.code == 1
    ready = {e["environment"]: e["ready"] for e in everywhere.json["environments"]}
    assert ready == {"production": True, "champion": False}
    damaged = live("show", "churn/1", "--json").json["manifest"]["files"][-1]["digest"][7:]
    path = tmp_path / ".lastgood" / "objects" / "sha256" / damaged[:2] / damaged[2:]
    path.chmod(0o644)
    path.write_bytes(b"x")
    answer = live("doctor")
    assert answer.code == 1
    assert "damaged" in answer.out
    assert "champion" not in answer.out


def test_a_place_that_never_was_is_not_just_not_ready(lastgood, model):
    lastgood("init")
    lastgood("register", model, "--name", "churn")
    lastgood("promote", "churn/1", "--to", "production", "--reason", "x")
    answer = lastgood("drill", "churn@prodution")
    assert (answer.code, "there is production" in answer.err) == (4, True)
    assert (
        lastgood("drill", "churn").code == 1
    )  # the control: it is there, and has nothing to return to
    assert lastgood("drill", "chrun").code == 4
    assert lastgood("doctor", "chrun").code == 4


def test_doctor_of_nothing_is_well(lastgood):
    lastgood("init")
    assert lastgood("doctor").code == 0
    assert lastgood("drill", "churn/1").code == 2
    assert lastgood("doctor", "--build", "--python", sys.executable).code == 2


def signed(root, *columns):
    """A model that nobody can load here, with a signature."""
    inputs = [{"type": "double", "name": name, "required": True} for name in columns]
    stated = f"signature:\n  inputs: '{json.dumps(inputs)}'\n" if columns else ""
    root.mkdir()
    (root / "MLmodel").write_text(f"flavors: {{sklearn: {{}}}}\n{stated}")
    return root


@pytest.mark.parametrize(
    ("old", "new", "expected", "words"),
    [
        (("age", "income"), ("age",), "fail", "it needs 'income', which they do not send"),
        (("age",), ("age", "income"), "pass", "still accepted"),
        ((), ("age",), "unknown", "churn/1 has no signature"),
    ],
)
def test_a_target_that_refuses_what_callers_send_now_is_not_ready(
    lastgood, tmp_path, old, new, expected, words
):
    lastgood("init")
    for name, columns in (("old", old), ("new", new)):
        root = signed(tmp_path / name, *columns)
        (root / "weights").write_text(name)
        assert lastgood("register", root, "--name", "churn").code == 0
    put_live(lastgood)
    answer = lastgood("drill", "churn", "--json")
    assert outcomes(answer)["signature"] == expected
    assert words in detail(answer, "signature")
    assert (answer.code, answer.json["ready"]) == ((1, False) if expected == "fail" else (0, True))


def wheel(folder, name, files):
    """A package as an index would have it."""
    info = f"{name}-1.0.dist-info"
    files |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A directory with two packages, and nothing else to install from; one of them brings mlflow along."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel(folder, "old_library", {"old_library.py": "shift = 0.0\n"})
    libraries = Path(sysconfig.get_path("purelib"))
    wheel(folder, "libraries_of_here", {"libraries_of_here.pth": f"{libraries}\n"})
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_the_recorded_environment_is_built_and_the_model_loads_in_it(lastgood, tmp_path, index):
    pytest.importorskip("mlflow")
    lastgood("init")
    loader = f"import old_library\n{LOADER}"
    needs = "old-library==1.0\nlibraries-of-here==1.0\n"
    root = write_pyfunc(tmp_path / "pyfunc", loader=loader, requirements=needs)
    for number in (1, 2):
        (root / "weights").write_text(str(number))
        lastgood("register", root, "--name", "churn", "--no-load-test")
    put_live(lastgood)
    here = lastgood("drill", "churn", "--json")  # the control: this interpreter does not have it
    assert (here.code, outcomes(here)["environment"], outcomes(here)["loads"]) == (
        1,
        "unknown",
        "fail",
    )
    assert "old-library is missing (recorded: 1.0)" in detail(here, "environment")
    built = lastgood("doctor", "--build", "--json")
    assert built.code == 0, built.out
    steps = {s["name"]: s for s in built.json["environments"][0]["steps"]}
    assert (steps["environment"]["outcome"], steps["loads"]["outcome"]) == ("pass", "pass")
    assert "2 packages as recorded" in steps["environment"]["detail"]


def test_a_recorded_package_that_does_not_exist_is_named(lastgood, tmp_path, index):
    lastgood("init")
    root = write_pyfunc(tmp_path / "pyfunc", requirements="old-library==1.0\nnever-made==3.2\n")
    for number in (1, 2):
        (root / "weights").write_text(str(number))
        lastgood("register", root, "--name", "churn", "--no-load-test")
    put_live(lastgood)
    answer = lastgood("drill", "churn", "--build", "--json")
    assert (answer.code, outcomes(answer)["environment"]) == (1, "fail")
    assert "never-made" in answer.json["reason"]
    assert "loads" not in outcomes(answer)  # there is nothing to load it in


def test_what_was_not_recorded_cannot_be_built_and_is_no_failure(lastgood, tmp_path):
    lastgood("init")
    for name in ("old", "new"):
        root = signed(tmp_path / name)
        (root / "weights").write_text(name)
        (root / "requirements.txt").write_text("never-made==3.2\n")
        assert lastgood("register", root, "--name", "churn").code == 0
    put_live(lastgood)
    answer = lastgood("drill", "churn", "--build", "--json")  # for which Python is not known
    assert (answer.code, outcomes(answer)["environment"]) == (0, "unknown")
    assert "not recorded" in detail(answer, "environment")
