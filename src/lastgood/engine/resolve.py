"""From a reference to a row: the one place where references get their meaning."""

from dataclasses import dataclass
from shlex import quote

from lastgood.core.ids import Instant, ModelName, VersionNumber, printable
from lastgood.core.references import ByDigest, ByNumber, ByRef, ByRun, Latest, parse_reference
from lastgood.errors import InvalidReference, NotFound
from lastgood.store import log
from lastgood.store import registry as rows
from lastgood.store.circumstances import NumbersSeen, look_at_numbers
from lastgood.store.database import Connection

__all__ = [
    "Found",
    "find",
    "model_of",
    "no_version",
    "numbered",
    "numbers_of",
    "version_of",
]


@dataclass(frozen=True, slots=True)
class Found:
    """A version and its model."""

    model: rows.ModelRow
    version: rows.VersionRow


def model_of(connection: Connection, name: str) -> rows.ModelRow:
    """The model of that name.

    Raises:
        NotFound: there is none; the hint names one that differs only by case.
    """
    model = rows.model_named(connection, name)
    if model is None:
        raise _no_model(connection, name)
    return model


def numbers_of(tx: Connection, name: str) -> NumbersSeen:
    """The model of that name, with the highest number that a version of it ever had.

    Raises:
        NotFound: as `model_of`.
    """
    found = look_at_numbers(tx, name)
    if found is None:
        raise _no_model(tx, name)
    return found


def _no_model(connection: Connection, name: str) -> NotFound:
    alike = rows.model_named_alike(connection, name)
    hint = f"did you mean {alike.name}?" if alike else "lastgood list shows all models"
    return NotFound(f"Registered Model with name={printable(name)} not found", hint=hint)


def version_of(connection: Connection, model: rows.ModelRow, number: int) -> rows.VersionRow:
    """The version of that number.

    Raises:
        NotFound: there is none.
    """
    version = rows.version_of(connection, model.id, number)
    if version is None:
        raise _not_among(model, number)
    return version


def _not_among(model: rows.ModelRow, number: int) -> NotFound:
    return NotFound(
        f"Model Version (name={model.name}, version={number}) not found",
        hint=f"lastgood list {quote(model.name)} shows its versions",
    )


def numbered(connection: Connection, name: str, number: int) -> Found:
    """The version of that number of the model of that name, in MLflow's words.

    Raises:
        NotFound: there is none; for MLflow also where there is no such model.
    """
    model, version = rows.version_named(connection, name, number) or (None, None)
    if model is None or version is None:
        raise no_version(connection, name, number)
    return Found(model, version)


def no_version(connection: Connection, name: str, number: int) -> NotFound:
    """The error for a version that was looked for and not found; for MLflow also where there is no such model."""
    model = rows.model_named(connection, name)
    if model is not None:
        return _not_among(model, number)
    return NotFound(
        f"Model Version (name={printable(name)}, version={number}) not found",
        hint=f"there is no model {printable(name)}",
    )


def find(connection: Connection, reference: str, *, now: Instant) -> Found:
    """The version that a reference names.

    Raises:
        InvalidReference: it does not follow the grammar, or a short digest fits several versions.
        NotFound: what it names does not exist, or the ref pointed nowhere.
    """
    match parse_reference(reference, now=now):
        case ByNumber(model=name, number=number):
            model = model_of(connection, name)
            return Found(model, version_of(connection, model, number))
        case ByDigest(model=name, prefix=prefix):
            return _by_digest(connection, model_of(connection, name), prefix)
        case ByRef() as ref:
            return _by_ref(connection, ref)
        case Latest(model=name):
            return _latest(connection, name)
        case ByRun(run=run, path=path):
            return _by_run(connection, run, path)


def _by_digest(connection: Connection, model: rows.ModelRow, prefix: str) -> Found:
    found = rows.versions_by_digest(connection, model.id, prefix)
    if not found:
        raise NotFound(
            f"No version of {model.name} has a digest that begins {prefix}",
            hint=f"lastgood list {quote(model.name)}",
        )
    if len({version.digest for version in found}) > 1:
        numbers = ", ".join(str(v.version) for v in reversed(found))
        raise InvalidReference(
            f"{prefix} fits several versions of {model.name}: {numbers}", hint="give more digits"
        )
    return Found(model, found[0])


def _by_ref(connection: Connection, ref: ByRef) -> Found:
    model = model_of(connection, ref.model)
    number: VersionNumber | None
    if ref.at is not None:
        move = rows.move_up_to(connection, model.id, ref.ref, log.seq_at(connection, ref.at))
        number, what = (
            (move.after if move else None),
            f"{ref.model}@{ref.ref} pointed nowhere at that moment",
        )
    elif ref.back:
        number, what = (
            _back(connection, model, ref),
            f"{ref.model}@{ref.ref} has no {ref.back} versions before",
        )
    else:
        row = rows.ref_of(connection, model.id, ref.ref)
        number, what = (row.version if row else None), f"{ref.model}@{ref.ref} points nowhere"
    if number is None:
        known = ", ".join(r.ref for r in rows.refs_of(connection, model.id) if r.version) or "none"
        raise NotFound(what, hint=f"refs of {model.name} that point to a version: {known}")
    return Found(model, version_of(connection, model, number))


def _back(connection: Connection, model: rows.ModelRow, ref: ByRef) -> VersionNumber | None:
    """What was live `back` moves ago, moves to nowhere not counted."""
    lived = [
        move.after
        for move in rows.moves_of(connection, model.id, ref.ref)
        if move.after is not None
    ]
    return lived[ref.back] if ref.back < len(lived) else None


def _latest(connection: Connection, name: ModelName) -> Found:
    model = model_of(connection, name)
    version = rows.version_latest(connection, model.id)
    if version is None:
        raise NotFound(
            f"{name} has no versions", hint=f"lastgood register PATH --name {quote(name)}"
        )
    return Found(model, version)


def _by_run(connection: Connection, run: str, path: str) -> Found:
    for name, version in rows.versions_from_run(connection, run):
        # MLflow 3 registers a run's model under the address of its logged model, which hides the path.
        if version.source.rstrip("/").endswith("/" + path) or version.source.startswith(
            "models:/m-"
        ):
            return Found(model_of(connection, name), version)
    raise NotFound(
        f"No version was registered from runs:/{run}/{path}",
        hint="register it: mlflow.register_model or lastgood register",
    )
