"""What is derived from the log alone: dropped and built anew, never migrated."""

from sqlalchemy import Boolean, Column, Index, PrimaryKeyConstraint, Table

from lastgood.store.schema.columns import Big, chars, head, metadata, text

__all__ = [
    "PROJECTIONS",
    "PROJECTION_VERSION",
    "approvals",
    "data_holds",
    "evidence",
    "history",
    "holds",
    "marks",
    "model_tags",
    "models",
    "numbering",
    "origins",
    "pauses",
    "policies",
    "ref_moves",
    "refs",
    "verdicts",
    "version_tags",
    "versions",
]

PROJECTION_VERSION = "8"
_projection = {"projection": True}

models = Table(
    "models",
    metadata,
    # The seq of the operation that made the model: stays when the model is renamed.
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("name", chars(256), nullable=False, unique=True),
    Column("folded", chars(512), nullable=False, unique=True),  # no two names differ only by case
    Column("description", text, nullable=False),
    Column("created_ms", Big, nullable=False),
    Column("changed_ms", Big, nullable=False),
    info=_projection,
)

numbering = Table(
    "numbering",
    metadata,
    Column("name", chars(256), primary_key=True),
    Column("last", Big, nullable=False),  # highest number ever given under this name
    info=_projection,
)

versions = Table(
    "versions",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("version", Big, nullable=False),
    Column("digest", chars(71), index=True),
    Column("source", text, nullable=False),
    Column("run_id", chars(64), nullable=False),
    Column("run_link", text, nullable=False),
    Column("user", chars(256), nullable=False),
    Column("description", text, nullable=False),
    Column("logged_model_id", chars(64), nullable=False),
    Column("artifact_uri", text, nullable=False),
    Column("size", Big, nullable=False),
    Column("stage", chars(16), nullable=False),
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
    Column("ref", chars(255), nullable=False),
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
    Column("ref", chars(255), nullable=False),
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
    Column("environment", chars(255), nullable=False),
    Column("version", Big, nullable=False),
    Column("seq", Big, nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("actor", chars(256), nullable=False),
    Column("reason", text, nullable=False),
    Column("owner", chars(256), nullable=False),
    Column("expires_ms", Big),
    PrimaryKeyConstraint("model_id", "environment", "version"),
    info=_projection,
)

data_holds = Table(
    "data_holds",
    metadata,
    Column("environment", chars(255), nullable=False),
    Column("digest", chars(500), nullable=False),
    Column("model_id", Big, nullable=False),
    Column("version", Big, nullable=False),
    Column("actor", chars(256), nullable=False),
    Column("reason", text, nullable=False),
    Column("expires_ms", Big),
    PrimaryKeyConstraint("environment", "digest", "model_id", "version"),
    info=_projection,
)

pauses = Table(
    "pauses",
    metadata,
    Column("model_id", Big, nullable=False),  # 0: all models
    Column("environment", chars(255), nullable=False),
    Column("seq", Big, nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("actor", chars(256), nullable=False),
    Column("reason", text, nullable=False),
    PrimaryKeyConstraint("model_id", "environment"),
    info=_projection,
)

marks = Table(
    "marks",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("environment", chars(255), nullable=False),
    Column("version", Big, nullable=False),
    Column("value", chars(8), nullable=False),
    Column("seq", Big, nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("actor", chars(256), nullable=False),
    Column("reason", text, nullable=False),
    PrimaryKeyConstraint("model_id", "environment", "version"),
    info=_projection,
)

model_tags = Table(
    "model_tags",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("key", chars(250), nullable=False),
    Column("value", text, nullable=False),
    PrimaryKeyConstraint("model_id", "key"),
    info=_projection,
)

version_tags = Table(
    "version_tags",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("version", Big, nullable=False),
    Column("key", chars(250), nullable=False),
    Column("value", text, nullable=False),
    head(),
    PrimaryKeyConstraint("model_id", "version", "key"),
    Index("version_tags_by_value", "key", "head"),
    info=_projection,
)

evidence = Table(
    "evidence",
    metadata,
    Column("model_id", Big, nullable=False),
    Column("version", Big, nullable=False),
    Column("name", chars(100), nullable=False),
    Column("outcome", chars(8), nullable=False),
    Column("summary", text, nullable=False),
    Column("figures", text, nullable=False),  # canonical JSON object
    Column("object", chars(71)),
    Column("seq", Big, nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("actor", chars(256), nullable=False),
    PrimaryKeyConstraint("model_id", "version", "name"),
    info=_projection,
)

origins = Table(
    "origins",
    metadata,
    Column("kind", chars(8), nullable=False),  # commit, data
    Column("value", chars(500), nullable=False),
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
    Column("environment", chars(255), nullable=False),
    Column("version", Big, nullable=False),
    Column("actor", chars(256), nullable=False),
    Column("meaning", chars(16), nullable=False),
    Column("word", chars(8), nullable=False),
    Column("digest", chars(71)),
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
    Column("environment", chars(255), nullable=False),
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
    Column("digest", chars(71)),  # NULL: the policy was taken away
    Column("text", text, nullable=False),
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
