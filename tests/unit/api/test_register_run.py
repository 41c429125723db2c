"""What a run logged through MLflow's protocol becomes a version by the native verb."""

import pytest

from lastgood.core.commands import Caller, RegisterRun
from lastgood.core.operations import Actor
from lastgood.errors import InvalidInput, NotFound

ANN = Caller(actor=Actor(name="ann"))


def register(api, source, model="churn"):
    return api.engine.registry.register_run(
        RegisterRun(model=model, source=source, reason="build 7"), caller=ANN
    )


def test_a_run_becomes_a_version_once(api):
    run_id, _ = api.logged()
    made = register(api, f"runs:/{run_id}/model")
    assert (made.version, made.already) == (1, False)
    view = api.engine.registry.show("churn/1")
    assert (view.run_id, view.verified, view.registered_by) == (run_id, True, "ann")
    again = register(api, f"runs:/{run_id}/model")
    assert (again.version, again.already, again.operation) == (1, True, None)
    kinds = [entry.kind for entry in api.engine.registry.log(model="churn")]
    assert kinds == ["register", "create_model"]


@pytest.mark.parametrize(
    "source", ["s3://bucket/model", "/etc", "file:///etc", "models:/churn/1", ""]
)
def test_only_runs_are_registered_so(api, source):
    with pytest.raises(InvalidInput):
        register(api, source)


def test_a_run_that_is_not_there(api):
    with pytest.raises(NotFound):
        register(api, "runs:/" + "0" * 32 + "/model")
