"""The registry in MLflow's words: models, versions, stages, aliases, searches.

Every call that changes something is one operation, decided in `catalogue_acts`. Methods that write
return a future that is done when the operation is durable. `prepare_version`, `check_bytes` and the
searches may take long: call them outside of an event loop.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from lastgood.core.changes import VersionRegistered
from lastgood.core.commands import Caller
from lastgood.core.filter_parser import parse_filter, parse_order
from lastgood.core.ids import (
    ModelName,
    RefName,
    VersionNumber,
    hex_of,
    is_reserved_ref,
    parse_model_name,
    parse_ref_name,
    printable,
)
from lastgood.core.operations import Actor
from lastgood.core.references import DEFAULT_ENVIRONMENT
from lastgood.core.stages import Stage, ref_of_stage
from lastgood.engine import catalogue_acts as acts
from lastgood.engine.artifacts import Artifacts
from lastgood.engine.catalogue_acts import Unchecked
from lastgood.engine.kernel import Decision, Kernel, Recorded
from lastgood.engine.preflight import read_manifest, verify_files
from lastgood.engine.register import check_description, check_tags
from lastgood.engine.register_source import (
    NewVersion,
    PreparedVersion,
    decide_version,
    prepare_version,
)
from lastgood.engine.resolve import model_of, numbered
from lastgood.engine.tracking.limits import check_name
from lastgood.engine.tracking.pages import decode_token, encode_token
from lastgood.errors import InvalidInput
from lastgood.store import registry as rows
from lastgood.store.aftermath import as_changed, as_registered
from lastgood.store.catalogue import (
    CataloguePaging,
    ModelEntry,
    VersionEntry,
    aliased_version,
    model_entries,
    search_models,
    search_versions,
    version_entry,
)
from lastgood.store.circumstances import NumbersSeen, remember_numbers
from lastgood.store.database import Connection

__all__ = [
    "Catalogue",
    "CataloguePage",
    "CatalogueQuery",
    "ModelEntry",
    "NewVersion",
    "PreparedVersion",
    "Unchecked",
    "VersionEntry",
]

T = TypeVar("T")
DEFAULT_ACTOR = "mlflow-client"
FILTERS_MAX = 100  # clauses
ORDERS_MAX = 20
LATEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueQuery:
    """A search in MLflow's words."""

    filter: str = ""
    order_by: Sequence[str] = ()
    results_max: int
    token: str = ""


@dataclass(frozen=True, slots=True)
class CataloguePage(Generic[T]):
    """Some of what was found; `token` is empty on the last page."""

    items: Sequence[T]
    token: str


class Catalogue:
    """MLflow's model registry over a kernel.

    Args:
        kernel: The one door through which the registry changes.
        artifacts: Where the files of runs and versions are.
    """

    def __init__(self, kernel: Kernel, artifacts: Artifacts) -> None:
        self._kernel = kernel
        self._database = kernel.database
        self._artifacts = artifacts

    # --- models -----------------------------------------------------------------------------------

    def model(self, name: str) -> ModelEntry:
        """The model with its aliases and the newest version of each stage. Raises NotFound."""
        return self._database.read(
            lambda c: model_entries(c, [model_of(c, parse_model_name(name))])[0]
        )

    def create_model(
        self, name: str, *, description: str, tags: Mapping[str, str], caller: Caller
    ) -> Future[Recorded]:
        """Make a model without versions. Raises InvalidName, AlreadyExists, TooLarge."""
        parsed = parse_model_name(name)
        check_description(description)
        _check_tags(tags)
        return self._act(
            caller, lambda tx: acts.create_model(tx, parsed, description=description, tags=tags)
        )

    def rename_model(self, name: str, *, to: str, caller: Caller) -> Future[Recorded]:
        """Give the model another name. Raises InvalidName, NotFound, AlreadyExists."""
        old, new = parse_model_name(name), parse_model_name(to)
        return self._act(caller, lambda tx: acts.rename_model(tx, old, to=new))

    def describe_model(self, name: str, text: str, *, caller: Caller) -> Future[Recorded]:
        """Set the model's description. Raises NotFound, TooLarge."""
        parsed = parse_model_name(name)
        check_description(text)
        return self._act(caller, lambda tx: acts.describe_model(tx, parsed, text))

    def tag_model(
        self, name: str, key: str, value: str | None, *, caller: Caller
    ) -> Future[Recorded]:
        """Set a tag of the model, or remove it with None. Raises NotFound, TooLarge."""
        parsed = parse_model_name(name)
        _check_tags({key: value or ""})
        return self._act(caller, lambda tx: acts.tag_model(tx, parsed, key, value))

    def delete_model(self, name: str, *, caller: Caller) -> Future[Recorded]:
        """Take the model from view. Raises NotFound, Protected."""
        parsed = parse_model_name(name)
        settings = self._kernel.settings
        return self._act(
            caller, lambda tx: acts.delete_model(tx, parsed, settings, now=self._kernel.clock())
        )

    def search_models(self, query: CatalogueQuery) -> CataloguePage[ModelEntry]:
        """Models that match, by name unless ordered otherwise.

        Raises:
            InvalidInput: filter, order or token cannot be right.
        """
        paging, search = _paging(query, "models")
        items, last = self._database.read(lambda c: search_models(c, paging))
        return CataloguePage(items, encode_token(last, search=search))

    # --- versions ---------------------------------------------------------------------------------

    def version(self, name: str, number: VersionNumber) -> VersionEntry:
        """One version. Raises NotFound."""
        parsed = parse_model_name(name)
        return self._database.read(lambda c: _entry(c, parsed, number))

    def version_by_alias(self, name: str, alias: str) -> VersionEntry:
        """The version that the alias names; ``latest`` is the one with the highest number.

        Raises:
            NotFound: there is no such model. InvalidInput: it has no such alias.
        """
        parsed = parse_model_name(name)
        latest = alias.lower() == LATEST
        ref = _alias_sought(alias)

        def query(connection: Connection) -> VersionEntry:
            if not latest and (found := aliased_version(connection, parsed, ref)):
                return found
            model = model_of(connection, parsed)
            version = rows.version_latest(connection, model.id) if latest else None
            if version is None:
                raise InvalidInput(f"Registered model alias {printable(alias)} not found.")
            return version_entry(connection, model.name, version)

        return self._database.read(query)

    def latest_versions(self, name: str, stages: Sequence[Stage] = ()) -> Sequence[VersionEntry]:
        """The newest version of each of these stages, or of every stage. Raises NotFound."""
        entry = self.model(name)
        return [v for v in entry.latest if not stages or v.row.stage in stages]

    def download_uri(self, name: str, number: VersionNumber) -> str:
        """Where a client finds the version's bytes. Raises NotFound."""
        row = self._database.read(lambda c: numbered(c, parse_model_name(name), number)).version
        return f"mlflow-artifacts:/sha256/{hex_of(row.digest)}" if row.digest else row.artifact_uri

    def search_versions(self, query: CatalogueQuery) -> CataloguePage[VersionEntry]:
        """Versions that match, the last changed first unless ordered otherwise. Raises as `search_models`."""
        paging, search = _paging(query, "versions")
        items, last = self._database.read(lambda c: search_versions(c, paging))
        return CataloguePage(items, encode_token(last, search=search))

    def prepare_version(self, new: NewVersion, *, program: str = "") -> PreparedVersion:
        """Freeze what the source means and make the manifest durable; nothing is registered yet.

        Raises:
            NotFound: the source does not exist; or the model, if anything is looked up.
            InvalidInput: the source is not allowed.
            IntegrityFailure: a file that has to be read is damaged.
        """
        _check_tags(new.tags)
        return prepare_version(self._kernel, self._artifacts, new, program=program)

    def register_version(
        self, prepared: PreparedVersion, *, caller: Caller
    ) -> Future[VersionEntry]:
        """Give the prepared version the next number. Raises NotFound if the model was deleted meanwhile."""
        acting = _named(caller, prepared.user)

        return self._kernel.act_and_look(
            acting, lambda tx: decide_version(tx, prepared, user=acting.actor.name), _made
        )

    def describe_version(
        self, name: str, number: VersionNumber, text: str, *, caller: Caller
    ) -> Future[VersionEntry]:
        """Set a version's description. Raises NotFound, TooLarge."""
        parsed = parse_model_name(name)
        check_description(text)
        return self._kernel.act_and_look(
            _named(caller),
            lambda tx: acts.describe_version(tx, parsed, number, text),
            partial(_left, parsed, number),
        )

    def tag_version(
        self, name: str, number: VersionNumber, key: str, value: str | None, *, caller: Caller
    ) -> Future[Recorded]:
        """Set a tag of a version, or remove it with None. Raises NotFound, TooLarge."""
        parsed = parse_model_name(name)
        _check_tags({key: value or ""})
        return self._act(caller, lambda tx: acts.tag_version(tx, parsed, number, key, value))

    def delete_version(
        self, name: str, number: VersionNumber, *, caller: Caller
    ) -> Future[Recorded]:
        """Take a version from view. Raises NotFound, Protected."""
        parsed = parse_model_name(name)
        settings = self._kernel.settings
        return self._act(
            caller,
            lambda tx: acts.delete_version(tx, parsed, number, settings, now=self._kernel.clock()),
        )

    # --- stages and aliases -----------------------------------------------------------------------

    def check_bytes(self, name: str, number: VersionNumber) -> None:
        """Read and hash every file of a version; an external one has none here.

        Raises:
            NotFound. IntegrityFailure: a file is missing or damaged; the message names it.
        """
        row = self._database.read(lambda c: numbered(c, parse_model_name(name), number)).version
        if row.digest is not None:
            manifest = read_manifest(self._kernel.objects, row.digest)
            verify_files(self._kernel.objects, manifest.files, subject=f"{name}/{number}")

    def transition(
        self,
        name: str,
        number: VersionNumber,
        *,
        to: Stage,
        archive_existing: bool,
        caller: Caller,
        checked: bool = True,
    ) -> Future[VersionEntry]:
        """Move a version to a stage; the ref of the stage follows. Raises NotFound, Held, Blocked, InvalidInput.

        Raises:
            Unchecked: not `checked`, and that ref is one that puts versions before users.
        """
        parsed = parse_model_name(name)
        _refuse_unchecked(ref_of_stage(to), checked=checked)
        return self._kernel.act_and_look(
            _named(caller),
            lambda tx: acts.transition_stage(
                tx,
                parsed,
                number,
                to=to,
                archive_existing=archive_existing,
                checked=checked,
                now=self._kernel.clock(),
            ),
            partial(_left, parsed, number),
        )

    def set_alias(
        self,
        name: str,
        alias: str,
        number: VersionNumber,
        *,
        caller: Caller,
        checked: bool = True,
    ) -> Future[Recorded]:
        """Point an alias at a version. Raises InvalidName, NotFound, Held, Blocked; Unchecked as `transition`."""
        model, ref = parse_model_name(name), parse_ref_name(alias)
        _refuse_unchecked(ref, checked=checked)
        return self._act(
            caller,
            lambda tx: acts.set_alias(
                tx, model, ref, number, checked=checked, now=self._kernel.clock()
            ),
        )

    def delete_alias(self, name: str, alias: str, *, caller: Caller) -> Future[Recorded]:
        """Remove an alias; none of that name is no error. Raises InvalidName, NotFound."""
        model, ref = parse_model_name(name), _alias_sought(alias)
        return self._act(caller, lambda tx: acts.delete_alias(tx, model, ref))

    def _act(self, caller: Caller, decide: Callable[[Connection], Decision]) -> Future[Recorded]:
        return self._kernel.act(_named(caller), decide)


def _refuse_unchecked(ref: RefName | None, *, checked: bool) -> None:
    if ref == DEFAULT_ENVIRONMENT and not checked:  # there is no need to look
        raise Unchecked


def _named(caller: Caller, known: str = "") -> Caller:
    """The caller with a name: their own, or else the one that is known, or what all are called."""
    if caller.actor.name:
        return caller
    return replace(caller, actor=Actor(name=known or DEFAULT_ACTOR))


def _entry(connection: Connection, name: ModelName, number: VersionNumber) -> VersionEntry:
    found = numbered(connection, name, number)
    return version_entry(connection, found.model.name, found.version)


def _made(tx: Connection, recorded: Recorded) -> VersionEntry:
    """The version that was registered."""
    operation, decision = recorded.operation, recorded.decision
    assert operation is not None
    made = next(c for c in operation.changes if isinstance(c, VersionRegistered))
    if decision is None or decision.model_id is None:
        return _entry(tx, made.model, made.version)
    remember_numbers(tx, NumbersSeen(decision.model_id, made.model, made.version))
    return as_registered(operation, made, model_id=decision.model_id)


def _left(
    name: ModelName, number: VersionNumber, tx: Connection, recorded: Recorded
) -> VersionEntry:
    """The version as the act left it."""
    operation, decision = recorded.operation, recorded.decision
    if decision is None or decision.seen is None:
        return _entry(tx, name, number)
    return as_changed(decision.seen, operation) if operation else decision.seen


def _alias_sought(alias: str) -> RefName:
    """An alias that a client asks for or removes: a name that none can have is simply not there."""
    return RefName(alias) if is_reserved_ref(alias) else parse_ref_name(alias)


def _check_tags(tags: Mapping[str, str]) -> None:
    for key in tags:
        check_name(key, parameter="key")
    check_tags(dict(tags))


def _paging(query: CatalogueQuery, kind: str) -> tuple[CataloguePaging, Sequence[object]]:
    clauses, orders = parse_filter(query.filter), parse_order(query.order_by)
    if len(clauses) > FILTERS_MAX:
        raise InvalidInput(f"A filter may have {FILTERS_MAX} clauses. Got {len(clauses)}")
    if len(orders) > ORDERS_MAX:
        raise InvalidInput(f"At most {ORDERS_MAX} order_by fields are allowed. Got {len(orders)}")
    if len({order.key for order in orders}) != len(orders):
        raise InvalidInput(f"order_by contains duplicate fields: {list(query.order_by)}")
    search = (kind, query.filter, list(query.order_by))
    paging = CataloguePaging(
        filters=clauses,
        orders=orders,
        limit=query.results_max,
        after=decode_token(query.token, search=search),
    )
    return paging, search
