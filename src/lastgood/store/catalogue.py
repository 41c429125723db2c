"""Models and versions as MLflow's clients see them: whole entries in few statements, and searches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from lastgood.core.filters import Clause, Order
from lastgood.core.ids import ModelName, RefName, VersionNumber, printable
from lastgood.core.stages import Stage
from lastgood.errors import InvalidInput
from lastgood.store import registry as rows
from lastgood.store.database import Connection
from lastgood.store.lists import among, listed
from lastgood.store.schema import HEAD_LENGTH, model_tags, models, refs, version_tags, versions
from lastgood.store.statement import Row, Statement
from lastgood.store.tracking.clauses import NUMBERS, TEXTS, compare, has_entry, refuse
from lastgood.store.tracking.keyset import Scalar, SortKey, behind, ordering

__all__ = [
    "CataloguePaging",
    "ModelEntry",
    "VersionEntry",
    "aliased_version",
    "entry_from",
    "model_entries",
    "search_models",
    "search_versions",
    "version_entries",
    "version_entry",
]

T = TypeVar("T")
FEW = 5_000  # versions that are fetched and sorted rather than looked for among all
KEYS_PER_STATEMENT = 400  # SQLite bounds the parameters of a statement
PROMPT_TAG = "mlflow.prompt.is_prompt"
_LISTLESS = TEXTS - {"IN", "NOT IN"}


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """A version with its model's name, its tags and the aliases that name it."""

    model: ModelName
    row: rows.VersionRow
    tags: dict[str, str]
    aliases: tuple[RefName, ...]


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model with its tags, its aliases and the newest version of each stage."""

    row: rows.ModelRow
    tags: dict[str, str]
    aliases: tuple[tuple[RefName, VersionNumber], ...]
    latest: tuple[VersionEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CataloguePaging:
    """Which rows of all that match, in which order."""

    filters: Sequence[Clause] = ()
    orders: Sequence[Order] = ()
    limit: int
    after: Sequence[Scalar] = ()
    """The sort values of the row before the first wanted; empty: from the start."""


_m, _v, _r, _t = models.c, versions.c, refs.c, version_tags.c
_MODEL = (_m.id, _m.name, _m.description, _m.created_ms, _m.changed_ms)

_aliased = Statement(
    sa.select(_m.name, *_v)
    .select_from(models)
    .join(refs, _r.model_id == _m.id)
    .join(versions, sa.and_(_v.model_id == _m.id, _v.version == _r.version))
    .where(_m.name == sa.bindparam("name"), _r.ref == sa.bindparam("ref"))
)
_tags_of_one = Statement(
    sa.select(_t.model_id, _t.version, _t.key, _t.value).where(
        _t.model_id == sa.bindparam("model_id"), _t.version == sa.bindparam("version")
    )
)
_tags_and_aliases_of_one = Statement(  # an alias has no value
    sa.union_all(
        sa.select(_t.key, _t.value).where(
            _t.model_id == sa.bindparam("model_id"), _t.version == sa.bindparam("version")
        ),
        sa.select(_r.ref, sa.null()).where(
            _r.model_id == sa.bindparam("model_id"),
            _r.version == sa.bindparam("version"),
            _r.alias.is_(True),
        ),
    )
)
_stages = sa.union_all(
    *(sa.select(sa.literal_column(f"'{s.value}'").label("stage")) for s in Stage)
).subquery()
_labelled = versions.alias("labelled")


def _of_stage(which: sa.Function[Any]) -> sa.ScalarSelect[Any]:
    """One seek in the index by stage per stage and model: the cost does not depend on how many versions there are."""
    return (
        sa.select(which)
        .where(_labelled.c.model_id == _m.id, _labelled.c.stage == _stages.c.stage)
        .correlate(models, _stages)
        .scalar_subquery()
    )


_latest = (
    sa.select(*_v)
    .select_from(models)
    .join(_stages, sa.true())
    .join(
        versions,
        sa.and_(_v.model_id == _m.id, _v.version == _of_stage(sa.func.max(_labelled.c.version))),
    )
    # As MLflow shows them: it walks through all versions, and the first one of a stage gives the stage its place.
    .order_by(_of_stage(sa.func.min(_labelled.c.version)))
)
_latest_of_one = Statement(_latest.where(_m.id == sa.bindparam("model_id")))
_latest_of_many = _latest.where(_m.id.in_(sa.bindparam("ids", expanding=True)))
_aliases_of_one = Statement(
    sa.select(_r.model_id, _r.ref, _r.version)
    .where(_r.model_id == sa.bindparam("model_id"), _r.alias.is_(True), _r.version.is_not(None))
    .order_by(_r.ref)
)
_aliases_of_many = (
    sa.select(_r.model_id, _r.ref, _r.version)
    .where(
        _r.model_id.in_(sa.bindparam("ids", expanding=True)),
        _r.alias.is_(True),
        _r.version.is_not(None),
    )
    .order_by(_r.ref)
)
_tags_of_models = sa.select(model_tags.c.model_id, model_tags.c.key, model_tags.c.value).where(
    model_tags.c.model_id.in_(sa.bindparam("ids", expanding=True))
)
_tagged = version_tags.alias("tagged")
_count_tagged = Statement(
    sa.select(sa.func.count()).select_from(
        sa.select(_tagged.c.version)
        .where(_tagged.c.key == sa.bindparam("key"), _tagged.c.head == sa.bindparam("head"))
        .limit(sa.bindparam("most", type_=sa.Integer))
        .subquery("some")
    )
)
_tags_of_versions = Statement(
    sa.select(_t.model_id, _t.version, _t.key, _t.value).where(
        _t.model_id == sa.bindparam("model_id"), among(_t.version, sa.bindparam("versions"))
    )
)


def aliased_version(connection: Connection, name: str, ref: str) -> VersionEntry | None:
    """The version that a ref of the model points to, in as few statements as there can be."""
    row = _aliased.first(connection, {"name": name, "ref": ref})
    if row is None:
        return None
    return version_entry(connection, ModelName(row[0]), rows.version_from(row[1:]))


def version_entry(connection: Connection, model: ModelName, row: rows.VersionRow) -> VersionEntry:
    """One version with all that belongs to it."""
    of_it = {"model_id": row.model_id, "version": row.version}
    return entry_from(model, row, _tags_and_aliases_of_one.all(connection, of_it))


def entry_from(model: ModelName, row: rows.VersionRow, belongings: Sequence[Row]) -> VersionEntry:
    """One version with its tags, and its aliases, which are rows without a value."""
    return VersionEntry(
        model=model,
        row=row,
        tags={key: value for key, value in belongings if value is not None},
        aliases=tuple(sorted(RefName(ref) for ref, value in belongings if value is None)),
    )


def model_entries(connection: Connection, found: Sequence[rows.ModelRow]) -> list[ModelEntry]:
    """The models with all that belongs to them, in the order given."""
    ids = [row.id for row in found]
    aliases = _aliases(connection, ids)
    latest: dict[int, list[rows.VersionRow]] = {}
    for row in _of_models(connection, _latest_of_one, _latest_of_many, ids):
        version = rows.version_from(row)
        latest.setdefault(version.model_id, []).append(version)
    tags: dict[int, dict[str, str]] = {}
    for chunk in _chunks(ids):
        for model_id, key, value in connection.execute(_tags_of_models, {"ids": chunk}):
            tags.setdefault(model_id, {})[key] = value
    named = [(row.name, version) for row in found for version in latest.get(row.id, ())]
    entries: dict[int, list[VersionEntry]] = {}
    for entry in _entries(connection, named, aliases):
        entries.setdefault(entry.row.model_id, []).append(entry)
    return [
        ModelEntry(
            row=row,
            tags=tags.get(row.id, {}),
            aliases=tuple(
                (RefName(ref), VersionNumber(version)) for ref, version in aliases.get(row.id, ())
            ),
            latest=tuple(entries.get(row.id, ())),
        )
        for row in found
    ]


def version_entries(
    connection: Connection, found: Sequence[tuple[ModelName, rows.VersionRow]]
) -> list[VersionEntry]:
    """The versions with all that belongs to them, in the order given."""
    return _entries(connection, found, _aliases(connection, [row.model_id for _, row in found]))


def search_models(
    connection: Connection, paging: CataloguePaging
) -> tuple[list[ModelEntry], list[Scalar]]:
    """Models that match; and, if there are more, the sort values of the last one.

    Raises:
        InvalidInput: a filter or order that models do not have.
    """
    prompts, filters = _split_prompts(paging.filters)
    is_prompt = _has_prompt_tag(model_tags, model_tags.c.model_id == _m.id)
    query = sa.select(*_MODEL).where(
        is_prompt if prompts else ~is_prompt,
        *(_model_condition(clause) for clause in filters),
    )
    page, last = _page(connection, query, _model_keys(paging.orders), paging)
    found = [rows.ModelRow(*row[: len(_MODEL)]) for row in page]
    return model_entries(connection, found), last


def search_versions(
    connection: Connection, paging: CataloguePaging
) -> tuple[list[VersionEntry], list[Scalar]]:
    """Versions that match; and, if there are more, the sort values of the last one.

    Raises:
        InvalidInput: a filter or order that versions do not have.
    """
    prompts, filters = _split_prompts(paging.filters)
    of_version = sa.and_(_t.model_id == _v.model_id, _t.version == _v.version)
    is_prompt = _has_prompt_tag(version_tags, of_version)
    conditions = [_version_condition(clause, of_version) for clause in filters]
    conditions += _few_tagged(connection, filters)
    query = (
        sa.select(_m.name.label("model_name"), *_v)
        .join(models, _m.id == _v.model_id)
        .where(is_prompt if prompts else ~is_prompt, *conditions)
    )
    page, last = _page(connection, query, _version_keys(paging.orders), paging)
    width = 1 + len(_v)
    named = [(ModelName(row[0]), rows.version_from(row[1:width])) for row in page]
    return version_entries(connection, named), last


def _entries(
    connection: Connection,
    found: Sequence[tuple[ModelName, rows.VersionRow]],
    aliases: dict[int, list[tuple[str, int]]],
) -> list[VersionEntry]:
    tags: dict[tuple[int, int], dict[str, str]] = {}
    for model_id, version, key, value in _rows_of_tags(
        connection, [(row.model_id, row.version) for _, row in found]
    ):
        tags.setdefault((model_id, version), {})[key] = value
    naming: dict[tuple[int, int], list[RefName]] = {}
    for model_id, named in aliases.items():
        for ref, version in named:
            naming.setdefault((model_id, version), []).append(RefName(ref))
    return [
        VersionEntry(
            model=name,
            row=row,
            tags=tags.get((row.model_id, row.version), {}),
            aliases=tuple(naming.get((row.model_id, row.version), ())),
        )
        for name, row in found
    ]


def _rows_of_tags(connection: Connection, keys: Sequence[tuple[int, int]]) -> Iterator[Any]:
    if len(keys) == 1:  # see `_of_models`
        model_id, version = keys[0]
        yield from _tags_of_one.all(connection, {"model_id": model_id, "version": version})
        return
    # A statement per model: for a list of pairs SQLite reads the whole table.
    wanted: dict[int, list[int]] = {}
    for model_id, version in keys:
        wanted.setdefault(model_id, []).append(version)
    for model_id, numbers in wanted.items():
        bound = {"model_id": model_id, "versions": listed(connection, numbers)}
        yield from _tags_of_versions.all(connection, bound)


def _aliases(connection: Connection, model_ids: Sequence[int]) -> dict[int, list[tuple[str, int]]]:
    found: dict[int, list[tuple[str, int]]] = {}
    for model_id, ref, version in _of_models(
        connection, _aliases_of_one, _aliases_of_many, model_ids
    ):
        found.setdefault(model_id, []).append((ref, version))
    return found


def _of_models(
    connection: Connection, one: Statement, many: sa.Select[Any], ids: Sequence[int]
) -> Iterator[Any]:
    distinct = list(dict.fromkeys(ids))
    if len(distinct) == 1:  # a list of one costs SQLAlchemy more than the statement itself
        yield from one.all(connection, {"model_id": distinct[0]})
        return
    for chunk in _chunks(distinct):
        yield from connection.execute(many, {"ids": chunk})


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), KEYS_PER_STATEMENT):
        yield items[start : start + KEYS_PER_STATEMENT]


def _page(
    connection: Connection, query: sa.Select[Any], keys: Sequence[SortKey], paging: CataloguePaging
) -> tuple[Sequence[Sequence[Any]], list[Scalar]]:
    values = [key.expression.label(f"sort_{i}") for i, key in enumerate(keys)]
    query = query.add_columns(*values).order_by(*ordering(keys)).limit(paging.limit + 1)
    if paging.after:
        query = query.where(behind(keys, paging.after))
    page = connection.execute(query).all()
    if len(page) <= paging.limit:
        return page, []
    page = page[: paging.limit]
    return page, list(page[-1][-len(keys) :])


def _split_prompts(filters: Sequence[Clause]) -> tuple[bool, list[Clause]]:
    """Whether prompts are asked for, and the other clauses.

    Prompts live among the models; a search shows either only them or, unless asked, none.
    """
    about = [c for c in filters if c.target == "tag" and c.key == PROMPT_TAG]
    for clause in about:
        if isinstance(clause.value, int | float):
            raise refuse(clause, "expected a quoted string value")
    wanted = any((c.operator, c.value) in {("=", "true"), ("!=", "false")} for c in about)
    return wanted, [c for c in filters if c not in about]


def _few_tagged(connection: Connection, filters: Sequence[Clause]) -> list[sa.ColumnElement[bool]]:
    """Where a tag's value is rare: that the version is one of those that have it, found from the index of values."""
    for clause in filters:
        if clause.target != "tag" or clause.operator != "=" or not isinstance(clause.value, str):
            continue
        bound = {"key": clause.key, "head": clause.value[:HEAD_LENGTH], "most": FEW + 1}
        if _count_tagged.scalar(connection, bound) <= FEW:
            tagged = sa.select(_tagged.c.model_id, _tagged.c.version).where(
                _tagged.c.key == bound["key"], _tagged.c.head == bound["head"]
            )
            return [sa.tuple_(_v.model_id, _v.version).in_(tagged)]
    return []


def _has_prompt_tag(table: sa.Table, owner: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return (
        sa.select(sa.literal_column("1"))
        .where(owner, table.c.key == PROMPT_TAG, table.c.value == "true")
        .exists()
    )


def _model_condition(clause: Clause) -> sa.ColumnElement[bool]:
    if clause.target == "tag":
        return has_entry(clause, model_tags, model_tags.c.model_id == _m.id)
    if clause.target == "attribute" and clause.key == "name":
        return compare(clause, _m.name, TEXTS)
    raise refuse(clause, "Invalid attribute key, expected name or a tag")


_VERSION_ATTRIBUTES: dict[str, tuple[sa.ColumnElement[Any], frozenset[str]]] = {
    "name": (_m.name, TEXTS),
    "version_number": (_v.version, NUMBERS),
    "run_id": (_v.run_id, TEXTS),
    "source_path": (_v.source, _LISTLESS),
}


def _version_condition(
    clause: Clause, of_version: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    if clause.target == "tag":
        return has_entry(clause, version_tags, of_version)
    known = _VERSION_ATTRIBUTES.get(clause.key) if clause.target == "attribute" else None
    if known is None:
        raise refuse(
            clause, f"Invalid attribute key, expected a tag or one of {sorted(_VERSION_ATTRIBUTES)}"
        )
    return compare(clause, *known)


_MODEL_ORDERS: dict[str, sa.ColumnElement[Any]] = {
    "name": _m.name,
    "last_updated_timestamp": _m.changed_ms,
    "timestamp": _m.changed_ms,
}
_VERSION_ORDERS: dict[str, sa.ColumnElement[Any]] = {
    "name": _m.name,
    "version_number": _v.version,
    "creation_timestamp": _v.created_ms,
    "last_updated_timestamp": _v.changed_ms,
}


def _model_keys(orders: Sequence[Order]) -> list[SortKey]:
    keys = _keys(orders, _MODEL_ORDERS)
    if not any(order.key == "name" for order in orders):
        keys.append(SortKey(_m.name, ascending=True))
    return keys


def _version_keys(orders: Sequence[Order]) -> list[SortKey]:
    keys = _keys(orders, _VERSION_ORDERS)
    named = {order.key for order in orders}
    if not orders:
        keys.append(SortKey(_v.changed_ms, ascending=False))
    if "name" not in named:
        keys.append(SortKey(_m.name, ascending=True))
    if "version_number" not in named:
        keys.append(SortKey(_v.version, ascending=False))
    return keys


def _keys(orders: Sequence[Order], known: dict[str, sa.ColumnElement[Any]]) -> list[SortKey]:
    keys = []
    for order in orders:
        column = known.get(order.key) if order.target == "attribute" else None
        if column is None:
            raise InvalidInput(
                f"Invalid order_by key '{printable(order.key)}', expected one of {sorted(known)}"
            )
        keys.append(SortKey(column, order.ascending))
    return keys
