"""MLflow's registry protocol: what clients rely on, and what MLflow does not promise but lastgood keeps."""

import hashlib
import json

import pytest

from lastgood.core.commands import Caller, Rollback
from lastgood.core.operations import Actor

CALLER = Caller(actor=Actor(name="bob"))


def test_a_model_comes_back_as_it_was_made(api):
    made = api.model(description="who leaves", tags=[{"key": "team", "value": "growth"}])
    assert api.call("GET", "/registered-models/get", {"name": "churn"})["registered_model"] == made
    assert made["description"] == "who leaves"
    assert made["tags"] == [{"key": "team", "value": "growth"}]
    assert "latest_versions" not in made


def test_a_version_is_what_the_run_knew(api):
    api.model()
    run_id, source = api.logged(
        metrics=[{"key": "auc", "value": 0.91, "timestamp": 1, "step": 0}],
        params=[{"key": "depth", "value": "6"}],
        tags=[
            {"key": "mlflow.source.git.commit", "value": "abc123"},
            {"key": "mlflow.source.git.repoURL", "value": "git@host:churn"},
        ],
    )
    made = api.call(
        "POST", "/model-versions/create", {"name": "churn", "source": source, "run_id": run_id}
    )
    version = made["model_version"]
    assert (version["version"], version["current_stage"], version["status"]) == (
        "1",
        "None",
        "READY",
    )
    assert (version["run_id"], version["source"], version["run_link"]) == (run_id, source, "")
    manifest = api.engine.registry.show("churn/1").manifest
    assert {f.path for f in manifest.files} == {"MLmodel", "model.pkl"}
    assert (manifest.params, manifest.metrics) == ({"depth": "6"}, {"auc": 0.91})
    assert (manifest.code.commit, manifest.code.remote) == ("abc123", "git@host:churn")
    assert manifest.environment.python == "3.11.9"
    assert manifest.flavors == ("python_function",)
    assert manifest.source.run_id == run_id


def test_a_registered_version_never_changes(api):
    api.model()
    version = api.version(content=b"right")
    where = f"0/{version['run_id']}/artifacts/model/model.pkl"
    api.upload(where, b"overwritten")
    uri = api.call("GET", "/model-versions/get-download-uri", {"name": "churn", "version": "1"})
    path = uri["artifact_uri"].removeprefix("mlflow-artifacts:/")
    frozen = api.send("GET", f"/api/2.0/mlflow-artifacts/artifacts/{path}/model.pkl")
    assert frozen.content == b"right"
    # The control: the run's own file did change.
    assert api.send("GET", f"/api/2.0/mlflow-artifacts/artifacts/{where}").content == b"overwritten"
    digest = api.engine.registry.show("churn/1").digest
    assert path == f"sha256/{digest.removeprefix('sha256:')}"


def test_every_call_is_one_operation_with_actor_and_from_to(api):
    api.model()
    api.version()
    api.version(content=b"second")
    api.stage(1, "Production", user="carol")
    api.alias("champion", 1)
    api.stage(2, "Production", archive=True)
    api.alias("champion", 2)
    newest = [(entry.kind, entry.actor.name, entry.summary) for entry in api.log()]
    assert newest[:5] == [
        ("set_alias", "mlflow-client", "alias champion: version 1 -> version 2"),
        (
            "transition_stage",
            "mlflow-client",
            "production: version 1 -> version 2; stage of version 1: Production -> Archived; "
            "stage of version 2: None -> Production",
        ),
        ("set_alias", "mlflow-client", "alias champion: nothing -> version 1"),
        (
            "transition_stage",
            "carol",
            "production: nothing -> version 1; stage of version 1: None -> Production",
        ),
        ("register", "ann", newest[4][2]),
    ]
    assert newest[4][2].startswith("churn/2 registered: 2 files, sha256:")
    entry = api.log()[0]
    assert entry.origin.door == "mlflow"
    assert entry.origin.program == "mlflow-python-client/3.17.2"
    assert entry.origin.host == "127.0.0.1"
    assert not entry.actor.verified


def test_what_is_already_so_makes_no_operation(api):
    api.model()
    api.version()
    api.stage(1, "Staging")
    api.alias("champion", 1)
    before = len(api.log())
    api.stage(1, "staging")
    api.alias("champion", 1)
    tag = {"name": "churn", "key": "absent"}
    api.call("DELETE", "/registered-models/delete-tag", tag)
    api.call("DELETE", "/model-versions/delete-tag", {**tag, "version": "1"})
    api.call("DELETE", "/registered-models/alias", {"name": "churn", "alias": "absent"})
    assert len(api.log()) == before


def test_latest_versions_are_the_highest_of_each_stage(api):
    api.model()
    for content in (b"1", b"2", b"3", b"4"):
        api.version(content=content)
    api.stage(1, "Production")
    api.stage(3, "Production")
    api.stage(2, "Archived")
    api.alias("champion", 3)

    def latest(*stages):
        found = api.call(
            "POST", "/registered-models/get-latest-versions", {"name": "churn", "stages": stages}
        )
        return {v["current_stage"]: v["version"] for v in found.get("model_versions", [])}

    # The first version of a stage gives the stage its place.
    assert list(latest().items()) == [("Production", "3"), ("Archived", "2"), ("None", "4")]
    assert latest("production") == {"Production": "3"}
    assert latest("Staging") == {}
    model = api.call("GET", "/registered-models/get", {"name": "churn"})["registered_model"]
    assert {v["version"]: v.get("aliases", []) for v in model["latest_versions"]} == {
        "4": [],
        "3": ["champion"],
        "2": [],
    }
    assert model["aliases"] == [{"alias": "champion", "version": "3"}]


def test_the_same_bytes_get_a_new_number_that_says_so(api):
    api.model()
    run_id, source = api.logged()
    sent = {"name": "churn", "source": source, "run_id": run_id}
    numbers = [
        api.call("POST", "/model-versions/create", sent)["model_version"]["version"]
        for _ in range(2)
    ]
    assert numbers == ["1", "2"]
    assert "same bytes as version 1" in api.log()[0].summary


def test_numbers_are_never_used_again(api):
    api.model()
    api.version()
    api.call("DELETE", "/model-versions/delete", {"name": "churn", "version": "1"})
    assert api.version()["version"] == "2"
    api.call("DELETE", "/registered-models/delete", {"name": "churn"})
    api.model()
    assert api.version()["version"] == "3"


def test_a_copy_is_the_same_bytes_with_the_same_run(api):
    api.model()
    api.model("copy")
    original = api.version()
    copied = api.call(
        "POST", "/model-versions/create", {"name": "copy", "source": "models:/churn/1"}
    )["model_version"]
    assert copied["run_id"] == original["run_id"]
    assert copied["source"] == "models:/churn/1"
    show = api.engine.registry.show
    assert show("copy/1").digest == show("churn/1").digest


def test_a_logged_model_is_frozen_and_brings_its_run(api):
    api.model()
    run_id = api.run()
    made = api.call(
        "POST", "/logged-models", {"experiment_id": "0", "name": "model", "source_run_id": run_id}
    )
    info = made["model"]["info"]
    api.upload(info["artifact_uri"].removeprefix("mlflow-artifacts:/") + "/model.pkl", b"weights")
    source = f"models:/{info['model_id']}"
    version = api.call("POST", "/model-versions/create", {"name": "churn", "source": source})[
        "model_version"
    ]
    assert (version["run_id"], version["source"]) == (run_id, source)
    file = api.engine.registry.show("churn/1").manifest.file("model.pkl")
    assert file.digest == "sha256:" + hashlib.sha256(b"weights").hexdigest()


def test_runs_uri_finds_a_logged_model_by_name(api):
    api.model()
    run_id = api.run()
    made = api.call(
        "POST", "/logged-models", {"experiment_id": "0", "name": "net", "source_run_id": run_id}
    )
    info = made["model"]["info"]
    api.upload(info["artifact_uri"].removeprefix("mlflow-artifacts:/") + "/model.pkl", b"weights")
    api.call(
        "POST",
        "/runs/outputs",
        {"run_id": run_id, "models": [{"model_id": info["model_id"], "step": 0}]},
    )
    version = api.call(
        "POST",
        "/model-versions/create",
        {"name": "churn", "source": f"runs:/{run_id}/net", "run_id": run_id},
    )
    assert version["model_version"]["version"] == "1"


def test_a_proxied_address_of_this_server_is_frozen_and_one_elsewhere_is_external(api):
    api.model()
    run_id, source = api.logged()
    inner = source.removeprefix("mlflow-artifacts:/")
    for host, verified in (("127.0.0.1:5000", True), ("other:5000", False)):
        address = f"http://{host}/api/2.0/mlflow-artifacts/artifacts/{inner}"
        api.call(
            "POST", "/model-versions/create", {"name": "churn", "source": address, "run_id": run_id}
        )
        assert api.engine.registry.versions("churn")[0].verified is verified


def test_an_external_version_may_not_claim_a_logged_model_that_does_not_exist(api):
    api.model()
    sent = {"name": "churn", "source": "s3://bucket/model", "model_id": "m-" + "0" * 32}
    assert api.refused("POST", "/model-versions/create", sent)[:2] == (
        404,
        "RESOURCE_DOES_NOT_EXIST",
    )


def test_a_registered_logged_model_knows_its_versions(api):
    api.model()
    sent = {"experiment_id": "0", "name": "net"}
    info = api.call("POST", "/logged-models", sent)["model"]["info"]
    api.upload(info["artifact_uri"].removeprefix("mlflow-artifacts:/") + "/model.pkl", b"weights")
    for _ in range(2):
        sent = {"name": "churn", "source": f"models:/{info['model_id']}"}
        api.call("POST", "/model-versions/create", sent)
    found = api.call("GET", f"/logged-models/{info['model_id']}")["model"]["info"]["tags"]
    assert [(tag["key"], json.loads(tag["value"])) for tag in found] == [
        (
            "mlflow.modelVersions",
            [{"name": "churn", "version": 1}, {"name": "churn", "version": 2}],
        )
    ]


def test_a_tag_of_a_version_without_a_value_is_empty(api):
    api.model()
    api.version()
    named = {"name": "churn", "version": "1"}
    api.call("POST", "/model-versions/set-tag", {**named, "key": "k"})
    shown = api.call("GET", "/model-versions/get", named)["model_version"]
    assert shown["tags"] == [{"key": "k", "value": ""}]


def test_a_change_may_come_without_its_content_type(api):
    api.model()
    path = "/api/2.0/mlflow/registered-models"
    body = b'{"name": "churn", "description": "a"}'
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert api.send("PATCH", f"{path}/update", content=body, headers=form).status_code == 200
    refused = api.send("POST", f"{path}/create", content=body, headers=form)
    assert "Content-Type must be one of" in refused.json()["message"]


def test_an_external_version_is_recorded_without_a_digest(api):
    api.model()
    api.external(source="s3://bucket/model", run_id="f" * 32)
    shown = api.engine.registry.show("churn/1")
    assert (shown.digest, shown.verified) == (None, False)
    uri = api.call("GET", "/model-versions/get-download-uri", {"name": "churn", "version": "1"})
    assert uri == {"artifact_uri": "s3://bucket/model"}
    assert "external" in api.log()[0].summary


@pytest.mark.parametrize(
    "source",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "file://localhost/etc",
        "C:/models",
        "relative/path",
        "s3://bucket/a/../../b",
        "s3://bucket/%2e%2e/b",
        "s3://bucket/%252e%252e/b",
        "mlflow-artifacts:/../../etc",
        "mlflow-artifacts://host:1/..%2f..%2fetc",
        "http://127.0.0.1:5000/api/2.0/mlflow-artifacts/artifacts/../../x",
        "http://h/api/2.0/mlflow-artifacts/artifacts%00",
        "https://h/a/./b",
        "s3://bucket/a\\..\\b",
        "mlflow-artifacts:/",
        "mlflow-artifacts:",
        "runs:/",
        "models:/",
        "models:/churn/1/2",
        "http://[::1/x",
        "s3://bucket/" + "x" * 3000,
    ],
)
def test_sources_that_are_refused(api, source):
    api.model()
    status, code, message = api.refused(
        "POST", "/model-versions/create", {"name": "churn", "source": source}
    )
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE"), message
    assert not api.engine.registry.versions("churn")


def test_a_source_outside_the_named_run_is_refused(api):
    api.model()
    _, source = api.logged()
    other = api.run()
    sent = {"name": "churn", "source": source, "run_id": other}
    assert "identify the resource" in api.refused("POST", "/model-versions/create", sent)[2]
    # The control: without the claim the same source is registered.
    del sent["run_id"]
    api.call("POST", "/model-versions/create", sent)


def test_sources_that_are_not_there(api):
    api.model()
    run_id = api.run()
    for source in (
        f"mlflow-artifacts:/0/{run_id}/artifacts/none",
        f"runs:/{run_id}/none",
        "runs:/" + "0" * 32 + "/m",
        "models:/m-" + "0" * 32,
        "models:/churn/7",
        "mlflow-artifacts:/sha256/" + "0" * 64,
    ):
        status, code, message = api.refused(
            "POST", "/model-versions/create", {"name": "churn", "source": source}
        )
        assert (status, code) == (404, "RESOURCE_DOES_NOT_EXIST"), (source, message)


def test_a_broken_mlmodel_is_told(api):
    api.model()
    run_id, source = api.logged()
    api.upload(f"0/{run_id}/artifacts/model/MLmodel", b"flavors: [\n")
    _, _, message = api.refused(
        "POST", "/model-versions/create", {"name": "churn", "source": source}
    )
    assert "'MLmodel' cannot be read" in message


def test_yaml_that_would_make_objects_is_refused(api):
    api.model()
    run_id, source = api.logged()
    api.upload(
        f"0/{run_id}/artifacts/model/MLmodel",
        b"flavors: !!python/object/apply:os.system ['touch /tmp/x']\n",
    )
    api.refused("POST", "/model-versions/create", {"name": "churn", "source": source})


def test_the_live_version_and_its_model_cannot_be_deleted(api):
    api.model()
    api.version()
    api.version(content=b"second")
    api.stage(1, "Production")
    for path, body in (
        ("/model-versions/delete", {"name": "churn", "version": "1"}),
        ("/registered-models/delete", {"name": "churn"}),
    ):
        status, code, message = api.refused("DELETE", path, body)
        assert (status, code) == (409, "RESOURCE_CONFLICT")
        assert "live in production" in message
    # The control: a version that nothing needs is deleted, and so is the first one once it is not live.
    api.call("DELETE", "/model-versions/delete", {"name": "churn", "version": "2"})
    api.stage(1, "Archived")
    api.call("DELETE", "/model-versions/delete", {"name": "churn", "version": "1"})


def test_deleting_a_version_takes_its_aliases_along(api):
    api.model()
    api.version()
    api.alias("champion", 1)
    api.call("DELETE", "/model-versions/delete", {"name": "churn", "version": "1"})
    assert (
        "aliases"
        not in api.call("GET", "/registered-models/get", {"name": "churn"})["registered_model"]
    )
    assert api.log()[0].summary == "version 1 deleted; champion: version 1 -> nothing"


def test_a_held_version_cannot_be_promoted_through_mlflow(api):
    api.model()
    for content in (b"1", b"2"):
        api.version(content=content)
    api.stage(1, "Production")
    api.stage(2, "Production")
    api.engine.registry.rollback(Rollback(model="churn", to="churn/1"), caller=CALLER)
    for path, body in (
        (
            "/model-versions/transition-stage",
            {"name": "churn", "version": "2", "stage": "Production"},
        ),
        ("/registered-models/alias", {"name": "churn", "version": "2", "alias": "production"}),
    ):
        status, code, message = api.refused("POST", path, body)
        assert (status, code) == (403, "PERMISSION_DENIED")
        assert "on hold in production" in message
    # The control: elsewhere it may go.
    api.stage(2, "Staging")
    api.alias("challenger", 2)


def test_a_damaged_version_cannot_become_live_through_mlflow(api):
    api.model()
    api.version()
    digest = api.engine.registry.show("churn/1").manifest.file("model.pkl").digest
    path = api.engine.kernel.objects.path_of(digest)
    path.chmod(0o644)
    path.write_bytes(b"wEights")
    for where, body in (
        (
            "/model-versions/transition-stage",
            {"name": "churn", "version": "1", "stage": "Production"},
        ),
        ("/registered-models/alias", {"name": "churn", "version": "1", "alias": "production"}),
    ):
        status, code, message = api.refused("POST", where, body)
        assert (status, code) == (409, "RESOURCE_CONFLICT")
        assert "model.pkl is damaged" in message
    # The control: whole again, it may.
    path.write_bytes(b"weights")
    assert api.stage(1, "Production")["current_stage"] == "Production"


def test_archiving_the_live_version_unsets_the_ref(api):
    api.model()
    api.version()
    api.stage(1, "Production")
    assert api.engine.registry.target("churn", "production").version == 1
    api.stage(1, "Archived")
    assert api.engine.registry.target("churn", "production").version is None


def test_aliases(api):
    api.model()
    api.version()
    api.version(content=b"second")
    api.alias("champion", 1)
    api.alias("champion", 2)

    def by_alias(alias):
        return api.call("GET", "/registered-models/alias", {"name": "churn", "alias": alias})[
            "model_version"
        ]

    assert (by_alias("champion")["version"], by_alias("champion")["aliases"]) == ("2", ["champion"])
    assert by_alias("latest")["version"] == "2"
    api.call("DELETE", "/registered-models/alias", {"name": "churn", "alias": "champion"})
    status, code, message = api.refused(
        "GET", "/registered-models/alias", {"name": "churn", "alias": "champion"}
    )
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "Registered model alias champion not found." in message


def test_an_alias_named_production_is_the_ref(api):
    api.model()
    for content in (b"1", b"2"):
        api.version(content=content)
    api.stage(1, "Production")
    api.alias("production", 1)
    target = api.engine.registry.target("churn", "production")
    assert (target.version, api.log()[0].kind) == (1, "set_alias")
    # It did not move, so that what was observed of its stay still counts.
    assert target.seq == api.log()[1].seq
    api.call("DELETE", "/registered-models/alias", {"name": "churn", "alias": "production"})
    assert api.engine.registry.target("churn", "production").version == 1  # its stage still says so
    api.alias("production", 2)
    assert api.engine.registry.target("churn", "production").version == 2
    api.call("DELETE", "/registered-models/alias", {"name": "churn", "alias": "production"})
    assert api.engine.registry.target("churn", "production").version is None
    assert api.engine.registry.fsck().problems == ()


def test_rename_carries_everything_along(api):
    api.model(tags=[{"key": "team", "value": "growth"}])
    api.version()
    api.alias("champion", 1)
    made = api.call("POST", "/registered-models/rename", {"name": "churn", "new_name": "leavers"})[
        "registered_model"
    ]
    assert made["aliases"] == [{"alias": "champion", "version": "1"}]
    assert made["latest_versions"][0]["name"] == "leavers"
    assert api.refused("GET", "/registered-models/get", {"name": "churn"})[0] == 404
    assert api.version("leavers")["version"] == "2"
    api.model()
    assert api.version()["version"] == "2"  # number 1 was given under this name
    assert (
        api.refused("POST", "/registered-models/rename", {"name": "churn", "new_name": "leavers"})[
            1
        ]
        == "RESOURCE_ALREADY_EXISTS"
    )
    assert api.engine.registry.fsck().problems == ()


def test_descriptions_and_tags(api):
    api.model()
    api.version()
    api.call("PATCH", "/registered-models/update", {"name": "churn", "description": "a"})
    api.call(
        "PATCH", "/model-versions/update", {"name": "churn", "version": "1", "description": "b"}
    )
    api.call("POST", "/registered-models/set-tag", {"name": "churn", "key": "k", "value": "v"})
    api.call(
        "POST",
        "/model-versions/set-tag",
        {"name": "churn", "version": "1", "key": "k", "value": ""},
    )
    model = api.call("GET", "/registered-models/get", {"name": "churn"})["registered_model"]
    version = api.call("GET", "/model-versions/get", {"name": "churn", "version": "1"})[
        "model_version"
    ]
    assert (model["description"], version["description"]) == ("a", "b")
    assert (model["tags"], version["tags"]) == (
        [{"key": "k", "value": "v"}],
        [{"key": "k", "value": ""}],
    )
    assert model["latest_versions"] == [version]
    api.call("DELETE", "/model-versions/delete-tag", {"name": "churn", "version": "1", "key": "k"})
    assert (
        "tags"
        not in api.call("GET", "/model-versions/get", {"name": "churn", "version": "1"})[
            "model_version"
        ]
    )


def test_prompts_are_no_models_in_searches(api):
    tag = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    api.model()
    api.model("prompt", tags=[tag])
    api.external("prompt", source="dummy-source", tags=[tag])

    def names(text):
        found = api.call("GET", "/registered-models/search", {"filter": text})
        return [m["name"] for m in found.get("registered_models", [])]

    assert names("") == ["churn"]
    assert names("tag.`mlflow.prompt.is_prompt` != 'true'") == ["churn"]
    assert names("name LIKE 'c%' AND tag.`mlflow.prompt.is_prompt` != 'true'") == ["churn"]
    assert names("tags.`mlflow.prompt.is_prompt` = 'true'") == ["prompt"]
    number = {"filter": "tags.`mlflow.prompt.is_prompt` = 1"}
    assert "quoted string" in api.refused("GET", "/registered-models/search", number)[2]
    assert api.call("GET", "/model-versions/search", {}) == {}


def test_errors_speak_as_mlflow_does(api):
    api.model()
    api.version()
    version = {"name": "churn", "version": "1"}
    for method, path, body, status, code, phrase in (
        (
            "GET",
            "/registered-models/get",
            {"name": "none"},
            404,
            "RESOURCE_DOES_NOT_EXIST",
            "Registered Model with name=none not found",
        ),
        (
            "GET",
            "/model-versions/get",
            {"name": "churn", "version": "9"},
            404,
            "RESOURCE_DOES_NOT_EXIST",
            "Model Version (name=churn, version=9) not found",
        ),
        (
            "POST",
            "/registered-models/create",
            {"name": "churn"},
            400,
            "RESOURCE_ALREADY_EXISTS",
            "Registered Model (name=churn) already exists",
        ),
        (
            "POST",
            "/registered-models/create",
            {"name": "CHURN"},
            400,
            "RESOURCE_ALREADY_EXISTS",
            "already exists as churn",
        ),
        (
            "POST",
            "/registered-models/create",
            {},
            400,
            "INVALID_PARAMETER_VALUE",
            "Missing value for required parameter 'name'",
        ),
        (
            "POST",
            "/registered-models/create",
            {"name": 5},
            400,
            "INVALID_PARAMETER_VALUE",
            "Invalid value 5 for parameter 'name' supplied",
        ),
        (
            "POST",
            "/registered-models/create",
            {"name": "a", "tags": [{"key": 5}]},
            400,
            "INVALID_PARAMETER_VALUE",
            "Invalid value 5 for parameter 'tags[0].key' supplied",
        ),
        (
            "POST",
            "/model-versions/transition-stage",
            {**version, "stage": "Prod"},
            400,
            "INVALID_PARAMETER_VALUE",
            "Invalid Model Version stage: Prod",
        ),
        (
            "POST",
            "/model-versions/transition-stage",
            {**version, "stage": "Archived", "archive_existing_versions": True},
            400,
            "INVALID_PARAMETER_VALUE",
            "not an Active stage",
        ),
        (
            "POST",
            "/registered-models/alias",
            {**version, "alias": "v3"},
            400,
            "INVALID_PARAMETER_VALUE",
            "reserved",
        ),
        (
            "POST",
            "/registered-models/alias",
            {**version, "alias": "latest"},
            400,
            "INVALID_PARAMETER_VALUE",
            "reserved",
        ),
        (
            "POST",
            "/registered-models/alias",
            {"name": "churn", "alias": "a", "version": "9"},
            404,
            "RESOURCE_DOES_NOT_EXIST",
            "not found",
        ),
        (
            "POST",
            "/registered-models/get-latest-versions",
            {"name": "churn", "stages": ["Prod"]},
            400,
            "INVALID_PARAMETER_VALUE",
            "Invalid Model Version stage",
        ),
        (
            "POST",
            "/model-versions/create",
            {"name": "none", "source": "s3://a/b"},
            404,
            "RESOURCE_DOES_NOT_EXIST",
            "Registered Model with name=none not found",
        ),
        (
            "GET",
            "/model-versions/get",
            {"name": "churn", "version": "x"},
            400,
            "INVALID_PARAMETER_VALUE",
            "Invalid model version",
        ),
        (
            "POST",
            "/registered-models/set-tag",
            {"name": "churn", "key": "k" * 251, "value": ""},
            400,
            "INVALID_PARAMETER_VALUE",
            "exceeds the maximum length of 250 characters",
        ),
        (
            "POST",
            "/registered-models/set-tag",
            {"name": "churn", "key": "k", "value": "v" * 100_001},
            400,
            "INVALID_PARAMETER_VALUE",
            "exceeds the maximum length of 100000 characters",
        ),
        (
            "PATCH",
            "/registered-models/update",
            {"name": "churn", "description": "d" * 5001},
            400,
            "INVALID_PARAMETER_VALUE",
            "exceeds the maximum length of 5000 characters",
        ),
        (
            "GET",
            "/registered-models/search",
            {"filter": "name ="},
            400,
            "INVALID_PARAMETER_VALUE",
            "Invalid clause(s) in filter string",
        ),
        (
            "GET",
            "/registered-models/search",
            {"max_results": 1001},
            400,
            "INVALID_PARAMETER_VALUE",
            "Invalid value 1001 for parameter 'max_results' supplied",
        ),
        (
            "GET",
            "/registered-models/search",
            {"page_token": "x"},
            400,
            "INVALID_PARAMETER_VALUE",
            "Invalid page token",
        ),
        (
            "GET",
            "/model-versions/search",
            {"order_by": ["name", "name"]},
            400,
            "INVALID_PARAMETER_VALUE",
            "duplicate",
        ),
    ):
        found = api.refused(method, path, body)
        assert found[:2] == (status, code), (path, body, found)
        assert phrase in found[2], found


@pytest.mark.parametrize(
    "name", ["", " ", "a/b", "a:b", ".", "..", "a\x00b", "a\nb", "a\u202eb", "n" * 257, "n" * 300]
)
def test_names_that_are_refused(api, name):
    status, code, message = api.refused("POST", "/registered-models/create", {"name": name})
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert message.isprintable()


@pytest.mark.parametrize(
    "name", ["Ünïcödé", "a b", "a%2Fb", "a'b\"c`d", "a--; DROP TABLE models", "日本", "😀"]
)
def test_names_that_are_odd_but_fine(api, name):
    api.model(name)
    assert (
        api.call("GET", "/registered-models/get", {"name": name})["registered_model"]["name"]
        == name
    )
    api.version(name)
    api.alias("champion", 1, name=name)
    quoted = name.replace("'", "''")
    found = api.call("GET", "/model-versions/search", {"filter": f"name = '{quoted}'"})
    assert [v["name"] for v in found["model_versions"]] == [name]
