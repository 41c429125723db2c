"""Models as of a moment that are gone, or have another name, today."""

import hashlib
import io

import pytest

from lastgood.core.commands import Caller, Promote, Register
from lastgood.core.ids import digest_of_hex
from lastgood.core.manifest import FileEntry, Manifest
from lastgood.core.operations import Actor
from lastgood.engine.artifacts import Artifacts
from lastgood.engine.catalogue import Catalogue
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.errors import NotFound

ANA = Caller(actor=Actor(name="ana"))


@pytest.fixture
def engine(tmp_path):
    init_data_directory(tmp_path / "data")
    with open_engine(tmp_path / "data") as engine:
        yield engine


def register(engine, model, content=b"w"):
    digest = digest_of_hex(hashlib.sha256(content).hexdigest())
    engine.registry.put_object(io.BytesIO(content), digest=digest)
    entry = FileEntry(path="w", digest=digest, size=len(content))
    manifest = Manifest(files=(entry,))
    return engine.registry.register(Register(model=model, manifest=manifest), caller=ANA)


def promote(engine, reference, to="champion"):
    command = Promote(reference=reference, to=to, reason="r")
    return engine.registry.promote(command, caller=ANA)


def test_a_deleted_model_can_be_looked_at(engine):
    made = register(engine, "gone")
    live = promote(engine, "gone/1").operation
    Catalogue(engine.kernel, Artifacts(engine.kernel)).delete_model("gone", caller=ANA).result()
    deleted = engine.registry.log()[0].operation
    for read in (engine.registry.versions, engine.registry.live):
        with pytest.raises(NotFound):
            read("gone")
        with pytest.raises(NotFound):
            read("gone", at=deleted)
    assert engine.registry.versions("gone", at=live)[0].refs == ("champion",)
    assert engine.registry.show("gone@champion", at=live).version == 1
    (view,) = engine.registry.live("gone", at=live)
    assert (view.version, view.digest) == (1, made.digest)
    again = register(engine, "gone", b"other")
    assert [v.version for v in engine.registry.versions("gone", at=live)] == [1]
    assert [v.version for v in engine.registry.versions("gone", at=again.operation)] == [2]


def test_a_renamed_model_is_found_by_both_its_names(engine):
    register(engine, "old")
    then = promote(engine, "old/1").operation
    Catalogue(engine.kernel, Artifacts(engine.kernel)).rename_model(
        "old", to="new", caller=ANA
    ).result()
    for name in ("old", "new"):
        assert engine.registry.show(f"{name}@champion", at=then).version == 1
        assert engine.registry.versions(name, at=then)[0].model == name
    assert [m.model for m in engine.registry.models(at=then)] == ["old"]
    assert [m.model for m in engine.registry.models()] == ["new"]


def test_a_version_deleted_since_is_shown_as_it_was(engine):
    register(engine, "m")
    second = register(engine, "m", b"2").operation
    Catalogue(engine.kernel, Artifacts(engine.kernel)).delete_version("m", 2, caller=ANA).result()
    assert [v.version for v in engine.registry.versions("m")] == [1]
    assert [v.version for v in engine.registry.versions("m", at=second)] == [2, 1]
