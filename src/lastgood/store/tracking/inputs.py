"""Datasets and logged models that went into runs or came out of them."""

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from lastgood.core.tracking import DatasetInput, ModelLink
from lastgood.store.database import Connection
from lastgood.store.dialects import insert
from lastgood.store.schema import datasets, run_datasets, run_models
from lastgood.store.statement import Statement
from lastgood.store.tracking.revisions import ChangingRun

__all__ = ["add_dataset_inputs", "add_model_links"]

_d = datasets.c
_DATASET = ("experiment_id", "name", "digest", "source_type", "source", "schema", "profile")
_add_dataset = Statement(insert(datasets).on_conflict_do_nothing(), _DATASET)
_dataset_id = Statement(
    sa.select(_d.id).where(
        _d.experiment_id == sa.bindparam("experiment_id"),
        _d.name == sa.bindparam("name"),
        _d.digest == sa.bindparam("digest"),
    )
)
_link_dataset = Statement(insert(run_datasets).on_conflict_do_nothing())
_LINK = ("run_id", "direction", "model_id", "step")
_link_model = Statement(insert(run_models).on_conflict_do_nothing(), _LINK)


def add_dataset_inputs(tx: Connection, run: ChangingRun, inputs: Iterable[DatasetInput]) -> None:
    """Link datasets to the run. A dataset is known by name and digest; what was stored first stays."""
    for one in inputs:
        dataset = one.dataset
        identity = {
            "experiment_id": run.experiment_id,
            "name": dataset.name,
            "digest": dataset.digest,
        }
        described = {
            "source_type": dataset.source_type,
            "source": dataset.source,
            "schema": dataset.schema,
            "profile": dataset.profile,
        }
        _add_dataset.run(tx, identity | described)
        dataset_id = _dataset_id.scalar(tx, identity)
        tags = msgspec.json.encode(one.tags).decode()
        _link_dataset.run(tx, {"run_id": run.run_id, "dataset_id": dataset_id, "tags": tags})


def add_model_links(
    tx: Connection, run: ChangingRun, direction: str, links: Iterable[ModelLink]
) -> None:
    """Link logged models to the run, as its ``input`` or ``output``."""
    _link_model.run_many(tx, [(run.run_id, direction, x.model_id, x.step) for x in links])
