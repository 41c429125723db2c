"""Datasets and logged models that went into runs or came out of them."""

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from lastgood.core.tracking import DatasetInput, ModelLink
from lastgood.store.database import Connection
from lastgood.store.schema import datasets, run_datasets, run_models

__all__ = ["add_dataset_inputs", "add_model_links"]

_d = datasets.c
_add_dataset = sqlite.insert(datasets).on_conflict_do_nothing()
_dataset_id = sa.select(_d.id).where(
    _d.experiment_id == sa.bindparam("experiment_id"),
    _d.name == sa.bindparam("name"),
    _d.digest == sa.bindparam("digest"),
)
_link_dataset = sqlite.insert(run_datasets).on_conflict_do_nothing()
_link_model = sqlite.insert(run_models).on_conflict_do_nothing()


def add_dataset_inputs(
    tx: Connection, run_id: str, experiment_id: int, inputs: Iterable[DatasetInput]
) -> None:
    """Link datasets to the run. A dataset is known by name and digest; what was stored first stays."""
    for one in inputs:
        dataset = one.dataset
        identity = {"experiment_id": experiment_id, "name": dataset.name, "digest": dataset.digest}
        described = {
            "source_type": dataset.source_type,
            "source": dataset.source,
            "schema": dataset.schema,
            "profile": dataset.profile,
        }
        tx.execute(_add_dataset, identity | described)
        dataset_id = tx.execute(_dataset_id, identity).scalar_one()
        tags = msgspec.json.encode(one.tags).decode()
        tx.execute(_link_dataset, {"run_id": run_id, "dataset_id": dataset_id, "tags": tags})


def add_model_links(
    tx: Connection, run_id: str, direction: str, links: Iterable[ModelLink]
) -> None:
    """Link logged models to the run, as its ``input`` or ``output``."""
    rows = [
        {"run_id": run_id, "direction": direction, "model_id": x.model_id, "step": x.step}
        for x in links
    ]
    if rows:
        tx.execute(_link_model, rows)
