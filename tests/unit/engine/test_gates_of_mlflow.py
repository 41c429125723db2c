"""MLflow's stage and alias calls go through the gates, unless the policy exempts the environment."""

import pytest

from lastgood.core.commands import Caller, SetPolicy
from lastgood.core.operations import Actor, Origin
from lastgood.core.stages import Stage
from lastgood.engine.artifacts import Artifacts
from lastgood.engine.catalogue import Catalogue
from lastgood.engine.register_source import NewVersion, PreparedVersion
from lastgood.engine.sources import Resolved, SourceClaim
from lastgood.errors import Blocked, Protected

CALLER = Caller(actor=Actor(name="ann"), origin=Origin(door="mlflow"))
GATED = """
[environments.production]
gates = [{ type = "tags", required = ["reviewed"] }]
[environments.champion]
gates = [{ type = "tags", required = ["reviewed"] }]
"""


@pytest.fixture
def catalogue(world):
    made = Catalogue(world.engine.kernel, Artifacts(world.engine.kernel))
    made.create_model("churn", description="", tags={}, caller=CALLER).result()
    new = NewVersion(model="churn", claim=SourceClaim(source="s3://b/m"))
    made.register_version(PreparedVersion(new=new, source=Resolved()), caller=CALLER).result()
    return made


def promote(catalogue):
    catalogue.transition(
        "churn", 1, to=Stage.PRODUCTION, archive_existing=False, caller=CALLER
    ).result()


def alias(catalogue):
    catalogue.set_alias("churn", "champion", 1, caller=CALLER).result()


@pytest.mark.parametrize("move", [promote, alias])
def test_a_gate_stops_them_in_mlflows_words_and_is_recorded(world, catalogue, move):
    registry = world.engine.registry
    registry.set_policy(SetPolicy(text=GATED), caller=CALLER)
    with pytest.raises(Blocked, match="the tag reviewed is missing") as caught:
        move(catalogue)
    assert (caught.value.mlflow_code, caught.value.http_status) == ("PERMISSION_DENIED", 403)
    assert registry.log(model="churn")[0].kind == "refuse"
    assert not catalogue.version("churn", 1).aliases
    catalogue.tag_version("churn", 1, "reviewed", "yes", caller=CALLER).result()
    move(catalogue)
    assert registry.log(model="churn")[0].changes[-1]["kind"] == "verdicts_recorded"


@pytest.mark.parametrize("move", [promote, alias])
def test_an_environment_may_be_free_for_mlflow(world, catalogue, move):
    free = GATED.replace("gates", 'mlflow = "free"\ngates')
    world.engine.registry.set_policy(SetPolicy(text=free), caller=CALLER)
    move(catalogue)


def test_what_was_live_is_retained_and_what_is_protected_stays(world, catalogue):
    registry = world.engine.registry
    alias(catalogue)
    registry.set_policy(SetPolicy(text="[environments.champion]\nprotected = true"), caller=CALLER)
    with pytest.raises(Protected, match="live in champion"):
        catalogue.delete_version("churn", 1, caller=CALLER).result()
    registry.set_policy(SetPolicy(text="[environments.champion]\nretention = '90d'"), caller=CALLER)
    catalogue.delete_alias("churn", "champion", caller=CALLER).result()
    with pytest.raises(Protected, match="retains"):
        catalogue.delete_version("churn", 1, caller=CALLER).result()
    registry.set_policy(SetPolicy(text=None), caller=CALLER)
    catalogue.delete_version("churn", 1, caller=CALLER).result()
