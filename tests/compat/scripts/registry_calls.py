"""Every registry call of MlflowClient, against the server whose address is given."""

import sys
import time

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

NAME = f"registry-{time.time_ns()}"
checks = []


def check(truth, what):
    assert truth, what
    checks.append(what)


def refused(code, call, *args, **options):
    try:
        call(*args, **options)
    except MlflowException as error:
        check(error.error_code == code, f"{error.error_code} {error}")
    else:
        raise AssertionError(f"accepted: {call.__name__} {args}")


def main(uri):
    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    run = client.create_run("0", run_name="r")
    run_id = run.info.run_id
    client.log_metric(run_id, "auc", 0.9)
    client.log_text(run_id, "weights", "model/model.pkl")
    source = f"{run.info.artifact_uri}/model"

    # models
    made = client.create_registered_model(NAME, tags={"team": "growth"}, description="who leaves")
    check(
        (made.name, made.description, made.tags) == (NAME, "who leaves", {"team": "growth"}),
        "create",
    )
    check(client.update_registered_model(NAME, "x").description == "x", "update")
    client.set_registered_model_tag(NAME, "k", "v")
    client.delete_registered_model_tag(NAME, "team")
    client.delete_registered_model_tag(NAME, "never there")
    check(client.get_registered_model(NAME).tags == {"k": "v"}, "tags")
    refused("RESOURCE_ALREADY_EXISTS", client.create_registered_model, NAME)
    refused("RESOURCE_ALREADY_EXISTS", client.create_registered_model, NAME.upper())
    refused("INVALID_PARAMETER_VALUE", client.create_registered_model, "a/b")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, "none")

    # versions
    one = client.create_model_version(NAME, source, run_id, tags={"n": "1"}, description="first")
    two = client.create_model_version(NAME, source, run_id)
    check((str(one.version), str(two.version), one.status) == ("1", "2", "READY"), "numbers")
    check((one.tags, one.description, one.run_id) == ({"n": "1"}, "first", run_id), "fields")
    check(client.update_model_version(NAME, "1", "better").description == "better", "describe")
    client.set_model_version_tag(NAME, "1", "k", "v")
    client.delete_model_version_tag(NAME, "1", "n")
    check(client.get_model_version(NAME, "1").tags == {"k": "v"}, "version tags")
    check(
        client.get_model_version_download_uri(NAME, "1").startswith("mlflow-artifacts:/sha256/"),
        "uri",
    )
    refused("INVALID_PARAMETER_VALUE", client.create_model_version, NAME, "/etc/passwd")
    refused("INVALID_PARAMETER_VALUE", client.create_model_version, NAME, "s3://b/../c")
    external = client.create_model_version(NAME, "s3://bucket/model")
    check(
        client.get_model_version_download_uri(NAME, external.version) == "s3://bucket/model",
        "external",
    )
    client.delete_model_version(NAME, external.version)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, NAME, external.version)

    # aliases
    client.set_registered_model_alias(NAME, "champion", "1")
    client.set_registered_model_alias(NAME, "champion", "2")
    check(client.get_model_version_by_alias(NAME, "champion").aliases == ["champion"], "by alias")
    check(client.get_registered_model(NAME).aliases == {"champion": "2"}, "aliases of the model")
    refused("INVALID_PARAMETER_VALUE", client.get_model_version_by_alias, NAME, "none")
    refused("INVALID_PARAMETER_VALUE", client.set_registered_model_alias, NAME, "v1", "1")
    refused("RESOURCE_DOES_NOT_EXIST", client.set_registered_model_alias, NAME, "a", "99")
    client.delete_registered_model_alias(NAME, "champion")
    client.delete_registered_model_alias(NAME, "champion")

    # stages
    check(
        client.transition_model_version_stage(NAME, "1", "production").current_stage
        == "Production",
        "stage",
    )
    client.transition_model_version_stage(NAME, "2", "Production", archive_existing_versions=True)
    latest = {v.current_stage: str(v.version) for v in client.get_latest_versions(NAME)}
    check(latest == {"Production": "2", "Archived": "1"}, f"latest {latest}")
    refused("INVALID_PARAMETER_VALUE", client.transition_model_version_stage, NAME, "1", "Prod")
    refused("RESOURCE_CONFLICT", client.delete_model_version, NAME, "2")
    refused("RESOURCE_CONFLICT", client.delete_registered_model, NAME)

    # searches
    found = client.search_model_versions(f"name = '{NAME}'", order_by=["version_number ASC"])
    check([str(v.version) for v in found] == ["1", "2"], "search versions")
    page = client.search_model_versions(f"name = '{NAME}'", max_results=1)
    rest = client.search_model_versions(f"name = '{NAME}'", max_results=1, page_token=page.token)
    check({str(v.version) for v in [*page, *rest]} == {"1", "2"} and not rest.token, "pages")
    check([m.name for m in client.search_registered_models("tags.k = 'v'")] == [NAME], "by tag")
    check(len(client.search_model_versions(f"run_id = '{run_id}'")) == 2, "by run")
    refused("INVALID_PARAMETER_VALUE", client.search_registered_models, "name >")

    # copy and rename
    copied = client.copy_model_version(f"models:/{NAME}/1", f"{NAME}-copy")
    check((str(copied.version), copied.run_id) == ("1", run_id), "copy")
    client.rename_registered_model(f"{NAME}-copy", f"{NAME}-moved")
    check(client.get_model_version(f"{NAME}-moved", "1").run_id == run_id, "renamed versions")
    client.delete_registered_model(f"{NAME}-moved")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, f"{NAME}-moved")
    client.transition_model_version_stage(NAME, "2", "Archived")
    client.delete_registered_model(NAME)
    print(f"registry calls: {len(checks)} checks passed")


if __name__ == "__main__":
    main(sys.argv[1])
