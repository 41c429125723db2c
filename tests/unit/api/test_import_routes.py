"""What the import routes refuse: each mistake is the caller's, said in words, and leaves nothing behind."""

import pytest

RUN = {
    "run_id": "a" * 32,
    "experiment_id": 0,
    "name": "n",
    "user_id": "u",
    "status": "FINISHED",
    "start_ms": 1,
    "end_ms": None,
    "lifecycle": "active",
    "artifact_uri": "mlflow-artifacts:/0/x",
}
EXPERIMENT = {
    "id": 7,
    "name": "e",
    "artifact_location": "",
    "lifecycle": "active",
    "created_ms": 1,
    "changed_ms": 2,
}
MODEL = {"name": "m", "description": "", "created_ms": 1, "changed_ms": 2}
VERSION = {"model": "m", "version": 3, "created_ms": 1, "changed_ms": 2}
DIGEST = "sha256:" + "a" * 64


def ask(api, path, body):
    return api.send("POST", f"/api/v1/import/{path}", json=body)


def record(**changed):
    return {"runs": [{"run": RUN | changed, "facts": {}}]}


def models(*wanted):
    return {"models": list(wanted), "reason": "r"}


def versions(**changed):
    return {"versions": [VERSION | changed], "reason": "r"}


def points(count=1, **changed):
    return {"series": [{"run_id": "a" * 32, "key": "k", "points": [[1, 0, 0.5]] * count} | changed]}


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("experiments", {"experiments": [EXPERIMENT | {"id": -1}]}, (400, "InvalidInput")),
        ("experiments", {"experiments": [EXPERIMENT | {"lifecycle": "x"}]}, (400, "InvalidInput")),
        ("experiments", {"experiments": [EXPERIMENT] * 1001}, (413, "TooLarge")),
        ("runs", record(experiment_id=99), (404, "NotFound")),
        ("runs", record(run_id="../x"), (400, "InvalidInput")),
        ("runs", record(status="DONE"), (400, "InvalidInput")),
        ("runs", record(start_ms=2**63), (400, "InvalidInput")),
        ("runs/known", {"ids": ["a"] * 1001}, (413, "TooLarge")),
        ("points", points(count=50_001), (413, "TooLarge")),
        ("points", points(key="k" * 1000), (400, "InvalidInput")),
        ("points", points(points=[[2**63, 0, 0.5]]), (400, "InvalidInput")),
        ("points", points(points=[[1, 0, "much"]]), (400, "InvalidInput")),
        ("logged-models", {"logged_models": 3}, (400, "InvalidInput")),
        ("files", {"files": [{"path": "../x", "digest": DIGEST, "size": 1}]}, (400, "InvalidInput")),
        ("files", {"files": [{"path": "0/x", "digest": DIGEST, "size": 1}]}, (404, "NotFound")),
        ("files", {"files": [{"path": "0/x", "digest": "x", "size": 1}]}, (400, "InvalidInput")),
        ("models", models(MODEL | {"name": "a/b"}), (400, "InvalidName")),
        ("models", models(MODEL | {"aliases": {"v1": 1}}), (400, "InvalidName")),
        ("models", models(MODEL) | {"reason": "r" * 1001}, (413, "TooLarge")),
        ("versions", versions(), (404, "NotFound")),
        ("versions", versions(version=0), (400, "InvalidInput")),
        ("versions", versions(stage="Live"), (400, "InvalidInput")),
        ("aliases", models(MODEL), (404, "NotFound")),
        ("digests", {"runs": ["a"] * 1001}, (413, "TooLarge")),
        ("digests", {"folders": ["../x"]}, (400, "InvalidInput")),
    ],
)  # fmt: skip
def test_bad_imports_are_refused(api, path, body, expected):
    answer = ask(api, path, body)
    assert answer.status_code == expected[0], answer.text
    error = answer.json()["error"]
    assert error["kind"] == expected[1]
    assert error["message"]
    assert api.log() == []


def test_good_ones_are_taken_and_recorded_with_their_reason(api):
    """The control: those bodies are refused for what is wrong with them, not for their shape."""
    assert ask(api, "experiments", {"experiments": [EXPERIMENT]}).json() == [7]
    assert ask(api, "points", points()).status_code == 204
    assert ask(api, "runs", record(experiment_id=7)).json() == 1
    assert ask(api, "runs/known", {"ids": ["a" * 32, "b"]}).json() == ["a" * 32]
    assert ask(api, "models", models(MODEL)).json() == 1
    assert ask(api, "versions", versions()).json() == 1
    assert ask(api, "aliases", models(MODEL | {"aliases": {"best": 3}})).json() == 1
    assert {(entry.kind, entry.reason) for entry in api.log()} == {("import", "r")}


def test_an_alias_of_a_version_that_is_not_there_is_refused(api):
    ask(api, "models", models(MODEL))
    answer = ask(api, "aliases", models(MODEL | {"aliases": {"best": 9}}))
    assert (answer.status_code, answer.json()["error"]["kind"]) == (404, "NotFound")


def test_a_file_that_was_not_sent_makes_no_version(api):
    ask(api, "models", models(MODEL))
    file = {"path": "f", "digest": DIGEST, "size": 1}
    answer = ask(api, "versions", versions(files=[file]))
    assert (answer.status_code, answer.json()["error"]["kind"]) == (400, "InvalidInput")
    assert api.send("GET", "/api/v1/models/m/versions").json() == []
