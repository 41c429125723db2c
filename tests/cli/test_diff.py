"""`lastgood diff`: what differs and by how much, the code in full, the answers."""

import subprocess

import pytest

MLMODEL = """\
flavors:
  python_function: {loader_module: tried_NUMBER, code: code, python_version: 3.11.7}
model_uuid: 0
utc_time_created: '2026-01-01 00:00:00'
"""
SOURCE = """\
class Model:
    def predict(self, data, params=None):
        return [float(v) * FACTOR if v > 2 else float(v) for v in data["x"]]
def _load_pyfunc(path):
    return Model()
"""
WHO = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]


@pytest.fixture
def two(lastgood, tmp_path):
    """m/1 and m/2, of one commit with different patches; m/2 doubles what is large."""
    top = tmp_path
    (top / "train.py").write_text("depth = 5\n")
    (top / ".gitignore").write_text("/one\n/two\n/.lastgood\n")
    for command in (["init", "-q"], ["add", "."], [*WHO, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=top, check=True)
    lastgood("init")
    for number, name in ((1, "one"), (2, "two")):
        model = top / name
        (model / "code").mkdir(parents=True)
        (model / "MLmodel").write_text(MLMODEL.replace("NUMBER", str(number)))
        (model / "code" / f"tried_{number}.py").write_text(SOURCE.replace("FACTOR", str(number)))
        (top / "train.py").write_text(f"depth = {4 + number}\n")
        metric = ("--metric", f"auc={0.5 * number}", "--param", f"depth={4 + number}")
        assert lastgood("register", model, "--name", "m", *metric).code == 0
    return lastgood


def test_metrics_and_sizes_come_with_how_much(two):
    answer = two("diff", "m/1", "m/2", "--json")
    found = {(d["section"], d["name"]): d for d in answer.json["differences"]}
    assert answer.code == 1
    assert found["metrics", "auc"]["note"] == "+0.5 (+100.00%)"
    assert found["files", "MLmodel"]["note"] == "+0 bytes"
    assert ("params", "depth") in found
    assert ("code", "patch") in found
    assert not [name for section, name in found if section == "packages"]
    assert "+100.00%" in two("diff", "m/1", "m/2").out


def test_the_code_is_shown_with_the_patches(two):
    answer = two("diff", "m/1", "m/2", "--code")
    assert "-depth = 5" in answer.out
    assert "+depth = 6" in answer.out
    assert two("diff", "m/1", "m/1", "--code").code == 0


def test_code_that_cannot_be_had_is_told(two, tmp_path, monkeypatch):
    monkeypatch.setenv("LASTGOOD_HOME", str(tmp_path / ".lastgood"))
    monkeypatch.chdir("/")
    answer = two("diff", "m/1", "m/2", "--code")
    assert answer.code == 3
    assert "no repository here has commit" in answer.err


def test_changed_answers_are_counted(two, tmp_path):
    pytest.importorskip("mlflow")
    (tmp_path / "rows.csv").write_text("x\n1\n2\n3\n4\n")
    answer = two("diff", "m/1", "m/2", "--input", "rows.csv", "--json")
    behaviour = answer.json["behaviour"]
    assert (behaviour["changed"], behaviour["answers"], behaviour["share"]) == (2, 4, 0.5)
    assert (behaviour["largest"], behaviour["first"]) == (4.0, "answer[2]: 3.0 -> 6.0")
    refused = two("diff", "m/1", "m/2", "--behaviour")
    assert (refused.code, "--input FILE" in refused.err) == (3, True)


def test_data_at_hand_is_compared_by_columns_and_values(lastgood, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"w")
    lastgood("init")
    for text in ("age,plan,old\n20,a,1\n30,b,1\n", "age,plan,new\n20,b,1\n90,b,1\n40,b,1\n"):
        (tmp_path / "rows.csv").write_text(text)
        keep = ("--train-data", "rows.csv", "--keep-data")
        assert lastgood("register", "model.bin", "--name", "m", *keep).code == 0
    (move,) = lastgood("diff", "m/1", "m/2", "--rows", "--json").json["data"]
    assert (move["rows_before"], move["rows_after"]) == (2, 3)
    assert (move["added"], move["removed"]) == (["new"], ["old"])
    assert [column["column"] for column in move["columns"]] == ["age", "plan"]
    shown = lastgood("diff", "m/1", "m/2", "--rows").out
    assert "2 -> 3 rows" in shown
    assert "mean 25 -> 50" in shown
    assert "moved by less" not in shown


def test_columns_that_hardly_moved_are_counted_and_digests_shortened(lastgood, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"w")
    lastgood("init")
    for label in ("yes", "no"):
        rows = "".join(f"{n},{label}\n" for n in range(500)) + f"{len(label) * 1000},yes\n"
        (tmp_path / "rows.csv").write_text(f"age,left\n{rows}")
        lastgood("register", "model.bin", "--name", "m", "--train-data", "rows.csv", "--keep-data")
    shown = lastgood("diff", "m/1", "m/2", "--rows").out
    assert "0.998" in shown
    assert "1 column moved by less than 0.01" in shown
    assert max(len(word) for word in shown.split()) == 12  # no whole digest of 64 digits


def test_data_that_is_not_at_hand_is_told_not_guessed(lastgood, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"w")
    lastgood("init")
    for text in ("x\n1\n", "x\n2\n"):
        (tmp_path / "rows.csv").write_text(text)
        lastgood("register", "model.bin", "--name", "m", "--train-data", "rows.csv")
    answer = lastgood("diff", "m/1", "m/2", "--rows", "--json").json
    assert answer["data"] == []
    assert "neither the registry nor this machine" in answer["missing"][0]
