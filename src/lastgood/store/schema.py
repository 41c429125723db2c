"""All tables, in five groups that live by different rules.

log           append-only, hash-chained, migrated by expand/contract
projections   derived from the log alone: dropped and rebuilt, never migrated
tracking      experiments, runs, metrics and the mutable artifacts of runs
webhooks      who is told of operations, and how far
observations  what gateways saw; append-only, high volume
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = ["HEAD_LENGTH", "PROJECTIONS", "PROJECTION_VERSION", "metadata"]

HEAD_LENGTH = 200  # characters of a parameter or tag that are indexed

metadata = MetaData()
# SQLite's INTEGER has 64 bits and can be the row id. PostgreSQL's has 32, and would refuse to look for more.
Big = BigInteger().with_variant(Integer, "sqlite")
# In PostgreSQL as in SQLite: text has no bound of its own (the engine states the limits), and is ordered by its bytes.
_text = Text().with_variant(Text(collation="C"), "postgresql")


def _chars(length: int) -> String:
    return String(length).with_variant(Text(collation="C"), "postgresql")


def _head() -> Column[str]:
    # What is indexed of a value that may have thousands of characters.
    return Column(
        "head", _chars(HEAD_LENGTH), Computed(f"substr(value, 1, {HEAD_LENGTH})", persisted=True)
    )


# --- log ------------------------------------------------------------------------------------------

operations = Table(
    "operations",
    metadata,
    Column("seq", Big, primary_key=True, autoincrement=False),
    Column("id", _chars(19), nullable=False, unique=True),
    Column("at_ms", Big, nullable=False, index=True),
    Column("kind", _chars(32), nullable=False),
    Column("hash", _chars(71), nullable=False),
    Column("body", LargeBinary, nullable=False),  # canonical JSON of the whole operation
    Column("idempotency_key", _chars(128), unique=True),
)

operation_streams = Table(
    "operation_streams",
    metadata,
    Column("stream", _chars(300), nullable=False),
    Column("seq", Big, nullable=False),
    PrimaryKeyConstraint("stream", "seq"),
    sqlite_with_rowid=False,
)

meta = Table(
    "lastgood_meta",
    metadata,
    Column("key", _chars(64), primary_key=True),
    Column("value", _text, nullable=False),
)

# --- projections ----------------------------------------------------------------------------------

PROJECTION_VERSION = "7"
_projection = {"projection": True}

models = Table(
    "models",
    metadata,
    # The seq of the operation that made the model: stays when the model is renamed.
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("name", _chars(256), nullable=False, unique=True),
    Column("folded", _chars(512), nullable=False, unique=True),  # no two names differ only by case
    Column("description", _text, nullable=False),
    Column("created_ms", Big, nullable=False),
    Column("changed_ms", Big, nullable=False),
    info=_projection,
)

numbering = Table(
    "numbering",
    metadata,
    Column("name", _chars(256), primary_key=True),
    Column("last", Big, nullable=False),  # highest number ever given under this name
    info=_projection,
)

versions = Table(
    "versions",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("version", Big, nullable=False),
    Column("digest", _chars(71), index=True),
    Column("source", _text, nullable=False),
    Column("run_id", _chars(64), nullable=False),
    Column("run_link", _text, nullable=False),
    Column("user", _chars(256), nullable=False),
    Column("description", _text, nullable=False),
    Column("logged_model_id", _chars(64), nullable=False),
    Column("artifact_uri", _text, nullable=False),
    Column("size", Big, nullable=False),
    Column("stage", _chars(16), nullable=False),
    Column("created_ms", Big, nullable=False),
    Column("changed_ms", Big, nullable=False),
    Column("seq", Big, nullable=False),
    PrimaryKeyConstraint("model_id", "version"),
    Index("versions_by_stage", "model_id", "stage", "version"),
    # MLflow's search shows the newest change first: of all, of a model, of a run.
    Index("versions_by_change", "changed_ms"),
    Index("versions_of_model_by_change", "model_id", "changed_ms"),
    Index("versions_of_run_by_change", "run_id", "changed_ms"),
    Index("versions_by_creation", "created_ms"),
    Index("versions_by_number", "version"),
    info=_projection,
)

refs = Table(
    "refs",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("ref", _chars(255), nullable=False),
    Column("version", Big),  # NULL: the ref was unset
    Column("seq", Big, nullable=False),
    Column("moved_ms", Big, nullable=False),
    Column("alias", Boolean, nullable=False),
    PrimaryKeyConstraint("model_id", "ref"),
    Index("refs_by_version", "model_id", "version"),
    sqlite_with_rowid=False,
    info=_projection,
)

ref_moves = Table(
    "ref_moves",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("ref", _chars(255), nullable=False),
    Column("seq", Big, nullable=False),
    Column("before", Big),
    Column("after", Big),
    Column("at_ms", Big, nullable=False),
    PrimaryKeyConstraint("model_id", "ref", "seq"),
    sqlite_with_rowid=False,
    info=_projection,
)

holds = Table(
    "holds",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("environment", _chars(255), nullable=False),
    Column("version", Big, nullable=False),
    Column("seq", Big, nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("actor", _chars(256), nullable=False),
    Column("reason", _text, nullable=False),
    Column("owner", _chars(256), nullable=False),
    Column("expires_ms", Big),
    PrimaryKeyConstraint("model_id", "environment", "version"),
    info=_projection,
)

data_holds = Table(
    "data_holds",
    metadata,
    Column("environment", _chars(255), nullable=False),
    Column("digest", _chars(500), nullable=False),
    Column("model_id", Big, nullable=False),
    Column("version", Big, nullable=False),
    Column("actor", _chars(256), nullable=False),
    Column("reason", _text, nullable=False),
    Column("expires_ms", Big),
    PrimaryKeyConstraint("environment", "digest", "model_id", "version"),
    info=_projection,
)

pauses = Table(
    "pauses",
    metadata,
    Column("model_id", Big, nullable=False),  # 0: all models
    Column("environment", _chars(255), nullable=False),
    Column("seq", Big, nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("actor", _chars(256), nullable=False),
    Column("reason", _text, nullable=False),
    PrimaryKeyConstraint("model_id", "environment"),
    info=_projection,
)

marks = Table(
    "marks",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("environment", _chars(255), nullable=False),
    Column("version", Big, nullable=False),
    Column("value", _chars(8), nullable=False),
    Column("seq", Big, nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("actor", _chars(256), nullable=False),
    Column("reason", _text, nullable=False),
    PrimaryKeyConstraint("model_id", "environment", "version"),
    info=_projection,
)

model_tags = Table(
    "model_tags",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("key", _chars(250), nullable=False),
    Column("value", _text, nullable=False),
    PrimaryKeyConstraint("model_id", "key"),
    info=_projection,
)

version_tags = Table(
    "version_tags",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("version", Big, nullable=False),
    Column("key", _chars(250), nullable=False),
    Column("value", _text, nullable=False),
    _head(),
    PrimaryKeyConstraint("model_id", "version", "key"),
    Index("version_tags_by_value", "key", "head"),
    info=_projection,
)

evidence = Table(
    "evidence",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("version", Big, nullable=False),
    Column("name", _chars(100), nullable=False),
    Column("outcome", _chars(8), nullable=False),
    Column("summary", _text, nullable=False),
    Column("figures", _text, nullable=False),  # canonical JSON object
    Column("object", _chars(71)),
    Column("seq", Big, nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("actor", _chars(256), nullable=False),
    PrimaryKeyConstraint("model_id", "version", "name"),
    info=_projection,
)

origins = Table(
    "origins",
    metadata,
    Column("kind", _chars(8), nullable=False),  # commit, data
    Column("value", _chars(500), nullable=False),
    Column("model_id", Big, nullable=False),
    Column("version", Big, nullable=False),
    PrimaryKeyConstraint("kind", "value", "model_id", "version"),
    Index("origins_of_version", "model_id", "version"),
    sqlite_with_rowid=False,
    info=_projection,
)

approvals = Table(
    "approvals",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("environment", _chars(255), nullable=False),
    Column("version", Big, nullable=False),
    Column("actor", _chars(256), nullable=False),
    Column("meaning", _chars(16), nullable=False),
    Column("word", _chars(8), nullable=False),
    Column("digest", _chars(71)),
    Column("seq", Big, nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("expires_ms", Big),
    PrimaryKeyConstraint("model_id", "environment", "version", "actor", "meaning"),
    info=_projection,
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("environment", _chars(255), nullable=False),
    Column("version", Big, nullable=False),
    Column("seq", Big, nullable=False),  # of the newest operation that holds verdicts
    PrimaryKeyConstraint("model_id", "environment", "version"),
    info=_projection,
)

policies = Table(
    "policies",
    metadata,
    Column("seq", Big, primary_key=True, autoincrement=False),
    Column("at_ms", Big, nullable=False),
    Column("digest", _chars(71)),  # NULL: the policy was taken away
    Column("text", _text, nullable=False),
    info=_projection,
)

history = Table(
    "history",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("seq", Big, nullable=False),
    PrimaryKeyConstraint("model_id", "seq"),
    sqlite_with_rowid=False,
    info=_projection,
)

PROJECTIONS = tuple(t for t in metadata.sorted_tables if t.info.get("projection"))

# --- tracking -------------------------------------------------------------------------------------

experiments = Table(
    "experiments",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("name", _chars(256), nullable=False, unique=True),
    Column("artifact_location", _text, nullable=False),
    Column("lifecycle", _chars(16), nullable=False),
    Column("created_ms", Big, nullable=False),
    Column("changed_ms", Big, nullable=False),
)

experiment_tags = Table(
    "experiment_tags",
    metadata,
    Column("experiment_id", Big, nullable=False),
    Column("key", _chars(250), nullable=False),
    Column("value", _text, nullable=False),
    PrimaryKeyConstraint("experiment_id", "key"),
    sqlite_with_rowid=False,
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", _chars(32), primary_key=True),
    Column("experiment_id", Big, nullable=False),
    Column("name", _chars(250), nullable=False),
    Column("user_id", _chars(256), nullable=False),
    Column("status", _chars(16), nullable=False),
    Column("start_ms", Big, nullable=False),
    Column("end_ms", Big),
    Column("lifecycle", _chars(16), nullable=False),
    Column("artifact_uri", _text, nullable=False),
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
    return Column("head", _chars(HEAD_LENGTH), nullable=False)


run_tags = Table(
    "run_tags",
    metadata,
    Column("run_id", _chars(32), nullable=False),
    Column("key", _chars(250), nullable=False),
    Column("value", _text, nullable=False),
    *_of_run(),
    _head_of_run(),
    PrimaryKeyConstraint("run_id", "key"),
    Index("run_tags_by_value", "experiment_id", "key", "head", "start_ms", "run_id"),
    sqlite_with_rowid=False,
)

params = Table(
    "params",
    metadata,
    Column("run_id", _chars(32), nullable=False),
    Column("key", _chars(250), nullable=False),
    Column("value", _text, nullable=False),
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
    Column("run_id", _chars(32), nullable=False),
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
    Column("run_id", _chars(32), nullable=False),
    Column("key", _chars(250), nullable=False),
    Column("sealed", Big, nullable=False),  # how many points are in chunks, all before these
    Column("body", LargeBinary, nullable=False),  # points of 25 bytes
    PrimaryKeyConstraint("run_id", "key"),
    sqlite_with_rowid=False,
)

# The older points, in pieces that do not overlap; each under its first point.
metric_chunks = Table(
    "metric_chunks",
    metadata,
    Column("run_id", _chars(32), nullable=False),
    Column("key", _chars(250), nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("step", Big, nullable=False),
    Column("value", Float, nullable=False),  # 0 when is_nan, because NULL has no place in a key
    Column("is_nan", Boolean, nullable=False),
    Column("count", Big, nullable=False),
    Column("step_min", Big, nullable=False),
    Column("step_max", Big, nullable=False),
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

latest_metrics = Table(
    "latest_metrics",
    metadata,
    Column("run_id", _chars(32), nullable=False),
    Column("key", _chars(250), nullable=False),
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
    Column("name", _chars(500), nullable=False),
    Column("digest", _chars(36), nullable=False),
    Column("source_type", _chars(36), nullable=False),
    Column("source", _text, nullable=False),
    Column("schema", _text),
    Column("profile", _text),
    UniqueConstraint("experiment_id", "name", "digest"),
)

run_datasets = Table(
    "run_datasets",
    metadata,
    Column("run_id", _chars(32), nullable=False),
    Column("dataset_id", Big, nullable=False),
    Column("tags", _text, nullable=False),  # JSON object
    PrimaryKeyConstraint("run_id", "dataset_id"),
    sqlite_with_rowid=False,
)

run_models = Table(
    "run_models",
    metadata,
    Column("run_id", _chars(32), nullable=False),
    Column("direction", _chars(8), nullable=False),  # input or output
    Column("model_id", _chars(64), nullable=False),
    Column("step", Big, nullable=False),
    PrimaryKeyConstraint("run_id", "direction", "model_id", "step"),
    sqlite_with_rowid=False,
)

logged_models = Table(
    "logged_models",
    metadata,
    Column("model_id", _chars(64), primary_key=True),
    Column("experiment_id", Big, nullable=False),
    Column("name", _chars(500), nullable=False),
    Column("model_type", _chars(500), nullable=False),
    Column("source_run_id", _chars(32), nullable=False),
    Column("status", _chars(32), nullable=False),
    Column("status_message", _text, nullable=False),
    Column("artifact_uri", _text, nullable=False),
    Column("lifecycle", _chars(16), nullable=False),
    Column("created_ms", Big, nullable=False),
    Column("changed_ms", Big, nullable=False),
    Index("logged_models_by_experiment", "experiment_id", "created_ms", "model_id"),
    Index("logged_models_by_change", "experiment_id", "changed_ms", "model_id"),
)

logged_model_tags = Table(
    "logged_model_tags",
    metadata,
    Column("model_id", _chars(64), nullable=False),
    Column("key", _chars(250), nullable=False),
    Column("value", _text, nullable=False),
    PrimaryKeyConstraint("model_id", "key"),
    sqlite_with_rowid=False,
)

logged_model_params = Table(
    "logged_model_params",
    metadata,
    Column("model_id", _chars(64), nullable=False),
    Column("key", _chars(255), nullable=False),
    Column("value", _text, nullable=False),
    PrimaryKeyConstraint("model_id", "key"),
    sqlite_with_rowid=False,
)

logged_model_metrics = Table(
    "logged_model_metrics",
    metadata,
    Column("model_id", _chars(64), nullable=False),
    Column("key", _chars(250), nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("step", Big, nullable=False),
    Column("run_id", _chars(32), nullable=False),
    Column("value", Float, nullable=False),
    Column("is_nan", Boolean, nullable=False),
    Column("dataset_name", _chars(500), nullable=False),
    Column("dataset_digest", _chars(36), nullable=False),
    PrimaryKeyConstraint("model_id", "key", "at_ms", "step", "run_id"),
    sqlite_with_rowid=False,
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("path", _chars(2048), primary_key=True),  # under the artifact root, no leading slash
    Column("parent", _chars(2048), nullable=False, index=True),
    Column("digest", _chars(71), nullable=False, index=True),
    Column("size", Big, nullable=False),
    Column("changed_ms", Big, nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", _chars(32), primary_key=True),
    Column("path", _chars(2048), nullable=False),
    Column("parts", Big, nullable=False),
    Column("expires_ms", Big, nullable=False, index=True),
    Column("digest", _chars(71)),  # set when the file is complete
    Column("size", Big),
)

# --- webhooks -------------------------------------------------------------------------------------

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook_id", _chars(36), primary_key=True),
    Column("name", _chars(63), nullable=False),
    Column("url", _chars(500), nullable=False),
    Column("description", _chars(1000), nullable=False),
    Column("events", _text, nullable=False),  # JSON list of entity.action
    Column("active", Boolean, nullable=False),
    Column("secret", _text),  # encrypted
    Column("created_ms", Big, nullable=False),
    Column("changed_ms", Big, nullable=False),
    Column("cursor_seq", Big, nullable=False),  # told: all operations up to this one,
    Column("cursor_index", Big, nullable=False),  # and so many events of the next
    Column("leased_by", _chars(64), nullable=False),
    Column("leased_until_ms", Big, nullable=False),
)

# --- observations ---------------------------------------------------------------------------------

gateways = Table(
    "gateways",
    metadata,
    Column("gateway", _chars(64), primary_key=True),
    Column("host", _chars(256), nullable=False),
    Column("url", _chars(512), nullable=False),
    Column("first_seen_ms", Big, nullable=False),
    Column("last_seen_ms", Big, nullable=False),
    Column("last_batch", Big, nullable=False),
    Column("receipts_dropped", Big, nullable=False),
)

slot_events = Table(
    "slot_events",
    metadata,
    Column("id", Big, primary_key=True),
    Column("gateway", _chars(64), nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("kind", _chars(16), nullable=False),
    Column("model_id", Big, nullable=False),
    Column("ref", _chars(255), nullable=False),
    Column("version", Big),
    Column("digest", _chars(71)),
    Column("seq", Big, nullable=False),
    Column("detail", _text, nullable=False),
    Index("slot_events_by_ref", "model_id", "ref", "gateway", "id"),
    Index("slot_events_by_time", "model_id", "ref", "at_ms"),
)

traffic = Table(
    "traffic",
    metadata,
    Column("gateway", _chars(64), nullable=False),
    Column("model_id", Big, nullable=False),
    Column("ref", _chars(255), nullable=False),
    Column("seq", Big, nullable=False),
    Column("version", Big, nullable=False),
    Column("minute_ms", Big, nullable=False),  # windows of one minute add up in one row
    Column("digest", _chars(71), nullable=False),
    Column("first_ms", Big, nullable=False),
    Column("last_ms", Big, nullable=False),
    Column("requests", Big, nullable=False),
    Column("failures", Big, nullable=False),
    PrimaryKeyConstraint("model_id", "ref", "seq", "version", "gateway", "minute_ms"),
    sqlite_with_rowid=False,
)

receipts = Table(
    "receipts",
    metadata,
    Column("id", Big, primary_key=True),
    Column("request_id", _chars(64), nullable=False, unique=True),
    Column("gateway", _chars(64), nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("model", _chars(256), nullable=False),
    Column("ref", _chars(255), nullable=False),
    Column("version", Big, nullable=False),
    Column("digest", _chars(71), nullable=False),
    Column("seq", Big, nullable=False),
    Column("status", Big, nullable=False),
    Column("latency_us", Big, nullable=False),
    Column("rows", Big, nullable=False),
    Column("output", _chars(200), nullable=False),
)
