"""Models and versions as MLflow writes them. What is unset is left out."""

import msgspec

from lastgood.api.mlflow.shapes import KeyValue, shown_pairs
from lastgood.engine.catalogue import ModelEntry, VersionEntry

__all__ = ["ModelReply", "VersionReply", "VersionShape", "model_shape", "version_shape"]


class AliasShape(msgspec.Struct, frozen=True):
    """An alias of a model."""

    alias: str
    version: str


class VersionShape(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """A version. The fields without a default are always sent, as clients expect them."""

    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    current_stage: str
    description: str
    source: str
    run_id: str
    run_link: str
    status: str
    user_id: str = ""
    tags: list[KeyValue] = []
    aliases: tuple[str, ...] = ()


class ModelShape(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """A model."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""
    latest_versions: list[VersionShape] = []
    tags: list[KeyValue] = []
    aliases: list[AliasShape] = []


class ModelReply(msgspec.Struct, frozen=True):
    """The answer to a call on a model."""

    registered_model: ModelShape


class VersionReply(msgspec.Struct, frozen=True):
    """The answer to a call on a version."""

    model_version: VersionShape


def version_shape(entry: VersionEntry) -> VersionShape:
    """A version as MLflow writes it."""
    row = entry.row
    return VersionShape(
        name=entry.model,
        version=str(row.version),
        creation_timestamp=row.created_ms,
        last_updated_timestamp=row.changed_ms,
        current_stage=row.stage.value,
        description=row.description,
        source=row.source,
        run_id=row.run_id,
        run_link=row.run_link,
        status="READY",
        user_id=row.user,
        tags=shown_pairs(entry.tags),
        aliases=entry.aliases,
    )


def model_shape(entry: ModelEntry) -> ModelShape:
    """A model as MLflow writes it."""
    row = entry.row
    return ModelShape(
        name=row.name,
        creation_timestamp=row.created_ms,
        last_updated_timestamp=row.changed_ms,
        description=row.description,
        latest_versions=[version_shape(version) for version in entry.latest],
        tags=shown_pairs(entry.tags),
        aliases=[AliasShape(alias, str(version)) for alias, version in entry.aliases],
    )
