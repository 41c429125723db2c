"""An import may be repeated, keeps what is here, and refuses what cannot be."""

import io
import math

import pytest

from lastgood.core.exchange import (
    Asked,
    HistoryDigest,
    ImportedFile,
    ImportedModel,
    ImportedVersion,
    RunRecord,
    Series,
    digest_of,
)
from lastgood.core.manifest import FileEntry
from lastgood.core.stages import Stage
from lastgood.core.tracking import Experiment, LoggedModel, Metric, ModelMetric, Run, RunFacts
from lastgood.engine.artifacts import Artifacts
from lastgood.engine.importing import Importing
from lastgood.errors import (
    AlreadyExists,
    InvalidInput,
    InvalidName,
    NotFound,
    Protected,
    TooLarge,
)

POINTS = ((5, 0, 0.0), (5, 0, math.nan), (6, 1, math.inf), (7, 1, -math.inf), (8, 2, 1e-300))
ABSENT = "sha256:" + "a" * 64


@pytest.fixture
def importing(world):
    return Importing(world.engine.kernel, Artifacts(world.engine.kernel))


def experiment(number=7, name="e", **more):
    given = {"artifact_location": "", "lifecycle": "active", "created_ms": 1, "changed_ms": 2}
    return Experiment(id=number, name=name, **(given | more))


def record(run_id="a" * 32, number=7, **facts):
    run = Run(run_id, number, "n", "u", "FINISHED", 5, None, "deleted", "s3://x")
    return RunRecord(run=run, facts=RunFacts(**facts))


def model(name="m", **more):
    return ImportedModel(name=name, description="d", **({"created_ms": 1, "changed_ms": 9} | more))


def version(number, **more):
    return ImportedVersion(model="m", version=number, created_ms=3, changed_ms=4, **more)


def store(world, content):
    digest = world.engine.kernel.objects.put(io.BytesIO(content))
    return digest if isinstance(digest, str) else digest.digest


def test_experiments_keep_their_ids_where_they_are_free(importing):
    assert importing.tracking.experiments([experiment(7, "a"), experiment(7, "b")]) == [7, 8]
    assert importing.tracking.experiments([experiment(9, "a")]) == [7]


def test_an_empty_experiment_becomes_the_imported_one(importing):
    wanted = experiment(
        0, "Default", artifact_location="mlflow-artifacts:/0", created_ms=11, tags={"k": "v"}
    )
    assert importing.tracking.experiments([wanted]) == [0]
    assert importing.checking.digests(Asked(experiments=[0])).experiments == [digest_of(wanted)]
    importing.tracking.experiments([experiment(0, "Default", created_ms=99)])
    assert importing.checking.digests(Asked(experiments=[0])).experiments == [digest_of(wanted)]


def test_a_run_comes_as_it_was_and_once(importing):
    importing.tracking.experiments([experiment()])
    series = [Series(run_id="a" * 32, key="m", points=POINTS)]
    for _ in range(2):
        importing.tracking.points(series)
    whole = record(params={"p": "1"}, tags={"t": "2"}, metrics=[Metric("m", 1e-300, 8, 2)])
    assert [importing.tracking.runs([whole]) for _ in range(2)] == [1, 0]
    wanted = HistoryDigest()
    wanted.add("m", POINTS)
    found = importing.checking.digests(Asked(runs=["a" * 32, "b"], histories=["a" * 32]))
    assert found.runs == [digest_of(whole), ""]
    assert found.histories == [wanted.digest()]


def test_points_of_a_run_that_is_here_are_not_added(importing):
    importing.tracking.experiments([experiment()])
    importing.tracking.runs([record(metrics=[Metric("m", 1.0, 1, 1)])])
    before = importing.checking.digests(Asked(histories=["a" * 32]))
    importing.tracking.points([Series(run_id="a" * 32, key="m", points=POINTS)])
    assert importing.checking.digests(Asked(histories=["a" * 32])) == before


def test_a_logged_model_comes_with_its_metrics(importing):
    importing.tracking.experiments([experiment()])
    wanted = LoggedModel(
        model_id="m-1",
        experiment_id=7,
        name="n",
        model_type="",
        source_run_id="r",
        status="LOGGED_MODEL_READY",
        status_message="",
        artifact_uri="s3://x",
        lifecycle="active",
        created_ms=1,
        changed_ms=2,
        tags={"a": "b"},
        metrics=(ModelMetric("m", math.nan, 1, 2, "r", "d", "1"),),
    )
    assert [importing.tracking.logged_models([wanted]) for _ in range(2)] == [1, 0]
    found = importing.checking.digests(Asked(logged_models=["m-1"]))
    assert found.logged_models == [digest_of(wanted)]


def test_versions_keep_numbers_times_and_stages(world, importing):
    wanted = model(aliases={"champion": 4}, numbers_used=6)
    external = version(4, stage=Stage.PRODUCTION, address="s3://x", source="s3://x")
    entry = FileEntry(path="f", digest=store(world, b"bytes"), size=5)
    caller = {"caller": world.caller, "reason": "import from there"}
    assert importing.registry.models([wanted], **caller) == 1
    assert importing.registry.versions([external, version(2, files=(entry,))], **caller) == 2
    assert importing.registry.aliases([wanted], **caller) == 1
    assert importing.registry.versions([external], **caller) == 0
    assert importing.registry.aliases([wanted], **caller) == 0
    found = importing.checking.digests(Asked(models=["m"], versions=[("m", 4), ("m", 3)]))
    assert found.models == [digest_of(wanted)]
    assert found.versions == [digest_of(external), ""]
    assert world.registry.show("m/2").manifest.file("f") == entry
    assert world.registry.show("m@production").version == 4
    assert world.register(b"next", model="m").version == 7
    assert world.registry.fsck().problems == ()


def test_a_ref_that_was_moved_here_stays(world, importing):
    caller = {"caller": world.caller, "reason": ""}
    importing.registry.models([model()], **caller)
    importing.registry.versions([version(1), version(2)], **caller)
    importing.registry.aliases([model(aliases={"champion": 1})], **caller)
    importing.registry.aliases([model(aliases={"champion": 2})], **caller)
    assert world.registry.show("m@champion").version == 1


def test_what_cannot_be_is_refused(world, importing):
    caller = {"caller": world.caller, "reason": ""}
    tracking, registry = importing.tracking, importing.registry
    with pytest.raises(NotFound):
        tracking.runs([record(number=99)])
    with pytest.raises(InvalidInput):
        tracking.runs([record(run_id="../x")])
    with pytest.raises(InvalidInput):
        tracking.experiments([experiment(-1)])
    with pytest.raises(TooLarge):
        tracking.points([Series(run_id="a", key="k", points=POINTS * 10_001)])
    with pytest.raises(TooLarge):
        tracking.known_runs(["a"] * 1001)
    with pytest.raises(NotFound):
        tracking.files([ImportedFile(path="1/x", digest=ABSENT, size=1)])
    with pytest.raises(InvalidInput):
        tracking.files([ImportedFile(path="../x", digest=ABSENT, size=1)])
    with pytest.raises(InvalidName):
        registry.models([model("a/b")], **caller)
    registry.models([model("Case")], **caller)
    with pytest.raises(AlreadyExists):
        registry.models([model("case")], **caller)
    registry.models([model()], **caller)
    with pytest.raises(InvalidInput):
        registry.versions(
            [version(1, files=(FileEntry(path="f", digest=ABSENT, size=1),))], **caller
        )
    with pytest.raises(NotFound):
        registry.aliases([model(aliases={"champion": 5})], **caller)


def test_files_of_a_registered_version_are_out_of_reach(world, importing):
    digest = store(world, b"x")
    with pytest.raises(Protected):
        importing.tracking.files([ImportedFile(path=f"sha256/{'a' * 64}/f", digest=digest, size=1)])
