"""Experiments, runs, metrics and the mutable artifacts of runs."""

from sqlalchemy import (
    DDL,
    Boolean,
    Column,
    Float,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.event import listen

from lastgood.store.schema.columns import HEAD_LENGTH, Big, chars, metadata, text

__all__ = [
    "artifacts",
    "datasets",
    "experiment_tags",
    "experiments",
    "latest_metrics",
    "logged_model_metrics",
    "logged_model_params",
    "logged_model_tags",
    "logged_models",
    "metric_arrivals",
    "metric_chunks",
    "metric_tails",
    "params",
    "run_datasets",
    "run_models",
    "run_tags",
    "runs",
    "uploads",
]

experiments = Table(
    "experiments",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("name", chars(256), nullable=False, unique=True),
    Column("artifact_location", text, nullable=False),
    Column("lifecycle", chars(16), nullable=False),
    Column("created_ms", Big, nullable=False),
    Column("changed_ms", Big, nullable=False),
)

experiment_tags = Table(
    "experiment_tags",
    metadata,
    Column("experiment_id", Big, nullable=False),
    Column("key", chars(250), nullable=False),
    Column("value", text, nullable=False),
    PrimaryKeyConstraint("experiment_id", "key"),
    sqlite_with_rowid=False,
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", chars(32), primary_key=True),
    Column("experiment_id", Big, nullable=False),
    Column("name", chars(250), nullable=False),
    Column("user_id", chars(256), nullable=False),
    Column("status", chars(16), nullable=False),
    Column("start_ms", Big, nullable=False),
    Column("end_ms", Big),
    Column("lifecycle", chars(16), nullable=False),
    Column("artifact_uri", text, nullable=False),
    # Another number with every change of what is shown of the run, see `lastgood.store.tracking.revisions`.
    Column("revision", Big, nullable=False),
    # One per attribute that searches filter and sort by: they read their first page in order, however many runs
    # there are. Lifecycle comes before, because a search shows what is deleted or what is not, hardly ever both.
    Index("runs_by_start", "experiment_id", "lifecycle", "start_ms", "run_id"),
    Index("runs_by_end", "experiment_id", "lifecycle", "end_ms", "start_ms", "run_id"),
    Index("runs_by_status", "experiment_id", "lifecycle", "status", "start_ms", "run_id"),
    Index("runs_by_name", "experiment_id", "lifecycle", "name", "start_ms", "run_id"),
    Index("runs_by_user", "experiment_id", "lifecycle", "user_id", "start_ms", "run_id"),
)


def _of_run() -> tuple[Column[int], Column[int]]:
    # What never changes about a run stands with what was logged to it, so that an index has the
    # values of one experiment together, and equal values by the run's start.
    return Column("experiment_id", Big, nullable=False), Column("start_ms", Big, nullable=False)


def _head_of_run() -> Column[str]:
    # As `_head`, but written by us: of an index with a column that SQLite computes, it looks up the row of every
    # entry, and searches count and compare thousands of entries for each run that they show.
    return Column("head", chars(HEAD_LENGTH), nullable=False)


run_tags = Table(
    "run_tags",
    metadata,
    Column("run_id", chars(32), nullable=False),
    Column("key", chars(250), nullable=False),
    Column("value", text, nullable=False),
    *_of_run(),
    _head_of_run(),
    PrimaryKeyConstraint("run_id", "key"),
    Index("run_tags_by_value", "experiment_id", "key", "head", "start_ms", "run_id"),
    sqlite_with_rowid=False,
)

params = Table(
    "params",
    metadata,
    Column("run_id", chars(32), nullable=False),
    Column("key", chars(250), nullable=False),
    Column("value", text, nullable=False),
    *_of_run(),
    _head_of_run(),
    PrimaryKeyConstraint("run_id", "key"),
    Index("params_by_value", "experiment_id", "key", "head", "start_ms", "run_id"),
    sqlite_with_rowid=False,
)

# What was logged of metrics, as it came: one row a call. It is merged into the histories a little later, see ADR 9.
metric_arrivals = Table(
    "metric_arrivals",
    metadata,
    Column("run_id", chars(32), nullable=False),
    Column(
        "id", Big, nullable=False
    ),  # rises by the weight of each row, so that the last tells how much waits
    Column("experiment_id", Big, nullable=False),
    Column("body", LargeBinary, nullable=False),  # MessagePack
    PrimaryKeyConstraint("run_id", "id"),
    Index("metric_arrivals_by_experiment", "experiment_id", "run_id"),
    sqlite_with_rowid=False,
)

# The newest points of each metric of each run, in order of time; all of them, of most metrics.
metric_tails = Table(
    "metric_tails",
    metadata,
    Column("run_id", chars(32), nullable=False),
    Column("key", chars(250), nullable=False),
    Column("sealed", Big, nullable=False),  # how many points are in chunks, all before these
    Column("body", LargeBinary, nullable=False),  # points of 25 bytes
    PrimaryKeyConstraint("run_id", "key"),
    sqlite_with_rowid=False,
)

# The older points, in pieces that do not overlap; each under its first point.
metric_chunks = Table(
    "metric_chunks",
    metadata,
    Column("run_id", chars(32), nullable=False),
    Column("key", chars(250), nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("step", Big, nullable=False),
    Column("value", Float, nullable=False),  # 0 when is_nan, because NULL has no place in a key
    Column("is_nan", Boolean, nullable=False),
    Column("count", Big, nullable=False),
    Column("step_min", Big, nullable=False),
    Column("step_max", Big, nullable=False),
    # Whether its points, which are in order of time, are in order of steps too: then one of them is read at its place.
    Column("in_step_order", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run_id", "key", "at_ms", "step", "value", "is_nan"),
    # For charts: all but the bodies, which would be read along with the rest.
    Index(
        "metric_chunks_by_step",
        "run_id",
        "key",
        "step_min",
        "at_ms",
        "step",
        "value",
        "is_nan",
        "step_max",
        "count",
    ),
    sqlite_with_rowid=False,
)

# PostgreSQL would compress these, and compress a tail anew each time that points are added, which took it longer
# than all else of a merge; and of what is compressed no part can be read alone.
_as_it_is = DDL(  # type: ignore[no-untyped-call]
    "ALTER TABLE %(table)s ALTER COLUMN body SET STORAGE EXTERNAL"
).execute_if(dialect="postgresql")
for _table in (metric_arrivals, metric_tails, metric_chunks):
    listen(_table, "after_create", _as_it_is)

latest_metrics = Table(
    "latest_metrics",
    metadata,
    Column("run_id", chars(32), nullable=False),
    Column("key", chars(250), nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("step", Big, nullable=False),
    Column("value", Float, nullable=False),
    Column("is_nan", Boolean, nullable=False),
    *_of_run(),
    PrimaryKeyConstraint("run_id", "key"),
    Index(
        "latest_metrics_by_value",
        "experiment_id",
        "key",
        "is_nan",
        "value",
        "start_ms",
        "run_id",
    ),
    sqlite_with_rowid=False,
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", Big, primary_key=True),
    Column("experiment_id", Big, nullable=False),
    Column("name", chars(500), nullable=False),
    Column("digest", chars(36), nullable=False),
    Column("source_type", chars(36), nullable=False),
    Column("source", text, nullable=False),
    Column("schema", text),
    Column("profile", text),
    UniqueConstraint("experiment_id", "name", "digest"),
)

run_datasets = Table(
    "run_datasets",
    metadata,
    Column("run_id", chars(32), nullable=False),
    Column("dataset_id", Big, nullable=False),
    Column("tags", text, nullable=False),  # JSON object
    PrimaryKeyConstraint("run_id", "dataset_id"),
    sqlite_with_rowid=False,
)

run_models = Table(
    "run_models",
    metadata,
    Column("run_id", chars(32), nullable=False),
    Column("direction", chars(8), nullable=False),  # input or output
    Column("model_id", chars(64), nullable=False),
    Column("step", Big, nullable=False),
    PrimaryKeyConstraint("run_id", "direction", "model_id", "step"),
    sqlite_with_rowid=False,
)

logged_models = Table(
    "logged_models",
    metadata,
    Column("model_id", chars(64), primary_key=True),
    Column("experiment_id", Big, nullable=False),
    Column("name", chars(500), nullable=False),
    Column("model_type", chars(500), nullable=False),
    Column("source_run_id", chars(32), nullable=False),
    Column("status", chars(32), nullable=False),
    Column("status_message", text, nullable=False),
    Column("artifact_uri", text, nullable=False),
    Column("lifecycle", chars(16), nullable=False),
    Column("created_ms", Big, nullable=False),
    Column("changed_ms", Big, nullable=False),
    Index("logged_models_by_experiment", "experiment_id", "created_ms", "model_id"),
    Index("logged_models_by_change", "experiment_id", "changed_ms", "model_id"),
)

logged_model_tags = Table(
    "logged_model_tags",
    metadata,
    Column("model_id", chars(64), nullable=False),
    Column("key", chars(250), nullable=False),
    Column("value", text, nullable=False),
    PrimaryKeyConstraint("model_id", "key"),
    sqlite_with_rowid=False,
)

logged_model_params = Table(
    "logged_model_params",
    metadata,
    Column("model_id", chars(64), nullable=False),
    Column("key", chars(255), nullable=False),
    Column("value", text, nullable=False),
    PrimaryKeyConstraint("model_id", "key"),
    sqlite_with_rowid=False,
)

logged_model_metrics = Table(
    "logged_model_metrics",
    metadata,
    Column("model_id", chars(64), nullable=False),
    Column("key", chars(250), nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("step", Big, nullable=False),
    Column("run_id", chars(32), nullable=False),
    Column("value", Float, nullable=False),
    Column("is_nan", Boolean, nullable=False),
    Column("dataset_name", chars(500), nullable=False),
    Column("dataset_digest", chars(36), nullable=False),
    PrimaryKeyConstraint("model_id", "key", "at_ms", "step", "run_id"),
    sqlite_with_rowid=False,
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("path", chars(2048), primary_key=True),  # under the artifact root, no leading slash
    Column("parent", chars(2048), nullable=False, index=True),
    Column("digest", chars(71), nullable=False, index=True),
    Column("size", Big, nullable=False),
    Column("changed_ms", Big, nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", chars(32), primary_key=True),
    Column("path", chars(2048), nullable=False),
    Column("parts", Big, nullable=False),
    Column("expires_ms", Big, nullable=False, index=True),
    Column("digest", chars(71)),  # set when the file is complete
    Column("size", Big),
)
