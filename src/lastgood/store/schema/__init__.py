"""All tables, in five groups that live by different rules.

log           append-only, hash-chained, migrated by expand/contract
projections   derived from the log alone: dropped and rebuilt, never migrated
tracking      experiments, runs, metrics and the mutable artifacts of runs
webhooks      who is told of operations, and how far
observations  what gateways saw; append-only, high volume
"""

from lastgood.store.schema.columns import HEAD_LENGTH, metadata
from lastgood.store.schema.log import meta, operation_streams, operations
from lastgood.store.schema.observations import gateways, receipts, slot_events, traffic
from lastgood.store.schema.projections import (
    PROJECTION_VERSION,
    PROJECTIONS,
    approvals,
    data_holds,
    evidence,
    history,
    holds,
    marks,
    model_tags,
    models,
    numbering,
    origins,
    pauses,
    policies,
    ref_moves,
    refs,
    verdicts,
    version_tags,
    versions,
)
from lastgood.store.schema.tracking import (
    artifacts,
    datasets,
    experiment_tags,
    experiments,
    latest_metrics,
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
    metric_arrivals,
    metric_chunks,
    metric_tails,
    params,
    run_datasets,
    run_models,
    run_tags,
    runs,
    uploads,
)
from lastgood.store.schema.webhooks import webhooks

__all__ = [
    "HEAD_LENGTH",
    "PROJECTIONS",
    "PROJECTION_VERSION",
    "approvals",
    "artifacts",
    "data_holds",
    "datasets",
    "evidence",
    "experiment_tags",
    "experiments",
    "gateways",
    "history",
    "holds",
    "latest_metrics",
    "logged_model_metrics",
    "logged_model_params",
    "logged_model_tags",
    "logged_models",
    "marks",
    "meta",
    "metadata",
    "metric_arrivals",
    "metric_chunks",
    "metric_tails",
    "model_tags",
    "models",
    "numbering",
    "operation_streams",
    "operations",
    "origins",
    "params",
    "pauses",
    "policies",
    "receipts",
    "ref_moves",
    "refs",
    "run_datasets",
    "run_models",
    "run_tags",
    "runs",
    "slot_events",
    "traffic",
    "uploads",
    "verdicts",
    "version_tags",
    "versions",
    "webhooks",
]
