"""Verbs that keep versions out: pauses and holds."""

from shlex import quote

from lastgood.core.changes import EnvironmentPaused, HoldPlaced, HoldReleased
from lastgood.core.commands import Caller, PauseEnvironment, PlaceHold, ReleaseHold
from lastgood.core.datasets import spellings, trained_on
from lastgood.core.ids import REGISTRY, Instant, parse_ref_name, printable
from lastgood.core.views import Outcome
from lastgood.engine.decision import Decision
from lastgood.engine.kernel import Kernel, check_repeated
from lastgood.engine.outcomes import outcome_of
from lastgood.engine.preflight import read_manifest
from lastgood.engine.resolve import Found, find, model_of
from lastgood.errors import Conflict, InvalidInput, NotFound
from lastgood.store import registry as rows
from lastgood.store.database import Connection
from lastgood.store.restraints import OF_THE_REGISTRY, pause_of

__all__ = ["RestraintVerbs"]

HOLD_LASTS_S_MAX = 10 * 366 * 86_400
OWNER_LENGTH_MAX = 256
DATA_DIGESTS_MAX = 1000


class RestraintVerbs:
    """The part of the registry in process that keeps versions out of environments."""

    _kernel: Kernel

    def pause(self, command: PauseEnvironment, *, caller: Caller) -> Outcome:
        parse_ref_name(command.environment)
        kind = "pause" if command.paused else "resume"
        where = f"{command.model}@{command.environment}" if command.model else command.environment

        def decide(tx: Connection) -> Decision:
            model = model_of(tx, command.model) if command.model is not None else None
            before = pause_of(tx, model.id if model else OF_THE_REGISTRY, command.environment)
            change = EnvironmentPaused(
                model=model.name if model else REGISTRY,
                environment=command.environment,
                before=before is not None,
                after=command.paused,
            )
            return Decision(
                kind="pause" if command.paused else "resume",
                model=change.model,
                changes=(change,) if change.before != change.after else (),
                summary=f"{where} {kind}d",
                reason=command.reason,
            )

        operation = self._kernel.act(caller, decide).result().operation
        if operation is None:
            return self._as_it_is(f"{where} is {kind}d already; nothing changed")
        check_repeated(operation, kind="pause" if command.paused else "resume")
        other = "resume" if command.paused else "pause"
        only = f" --model {quote(command.model)}" if command.model else ""
        return outcome_of(
            operation, undo=f"lastgood {other} {command.environment}{only} --reason '...'"
        )

    def hold(self, command: PlaceHold, *, caller: Caller) -> Outcome:
        parse_ref_name(command.environment)
        _check(command)
        with_data = command.data or bool(command.only_data)

        def decide(tx: Connection) -> Decision:
            now = self._kernel.clock()
            found = find(tx, command.reference, now=now)
            name, number = found.model.name, found.version.version
            known = _hold_on(tx, found, command.environment)
            if known is not None and known.counts_at(now):
                raise Conflict(
                    f"{name}/{number} is on hold in {command.environment} already, by {known.owner or known.actor}",
                    hint=f"lastgood hold release {quote(f'{name}/{number}')} --env {command.environment} --reason '...'",
                )
            placed = HoldPlaced(
                model=name,
                version=number,
                environment=command.environment,
                owner=command.owner,
                expires_ms=None
                if command.lasts_s is None
                else Instant(now + command.lasts_s * 1000),
                data=self._data_of(found, command.only_data) if with_data else (),
            )
            which = f"its data {printable(command.only_data)}" if command.only_data else "its data"
            more = f", and whatever was trained from {which}" if with_data else ""
            return Decision(
                kind="hold",
                model=name,
                changes=(placed,),
                summary=f"hold on {name}/{number} in {command.environment}{more}",
                reason=command.reason,
            )

        operation = self._kernel.act(caller, decide).result().operation
        assert operation is not None
        check_repeated(operation, kind="hold")
        held = next(c for c in operation.changes if isinstance(c, HoldPlaced))
        reference = quote(f"{held.model}/{held.version}")
        return outcome_of(
            operation,
            undo=f"lastgood hold release {reference} --env {held.environment} --reason '...'",
        )

    def release(self, command: ReleaseHold, *, caller: Caller) -> Outcome:
        parse_ref_name(command.environment)

        def decide(tx: Connection) -> Decision:
            found = find(tx, command.reference, now=self._kernel.clock())
            name, number = found.model.name, found.version.version
            if _hold_on(tx, found, command.environment) is None:
                raise NotFound(
                    f"{name}/{number} is not on hold in {command.environment}",
                    hint=f"lastgood show {quote(f'{name}/{number}')} shows its holds",
                )
            return Decision(
                kind="release",
                model=name,
                changes=(
                    HoldReleased(model=name, version=number, environment=command.environment),
                ),
                summary=f"hold on {name}/{number} in {command.environment} released",
                reason=command.reason,
            )

        operation = self._kernel.act(caller, decide).result().operation
        assert operation is not None
        check_repeated(operation, kind="release")
        return outcome_of(operation)

    def _data_of(self, found: Found, only: str) -> tuple[str, ...]:
        digest = found.version.digest
        data = trained_on(read_manifest(self._kernel.objects, digest)) if digest else frozenset()
        name = f"{found.model.name}/{found.version.version}"
        if not data:
            raise InvalidInput(
                f"No digest of the data that {name} was trained from is known",
                hint="hold the version alone: leave --with-data out of the command",
            )
        if len(data) > DATA_DIGESTS_MAX:
            raise InvalidInput(
                f"{name} was trained from {len(data):,} datasets; at most {DATA_DIGESTS_MAX:,} can be held"
            )
        if only:
            return (_one_of(data, only, name=name),)
        return tuple(sorted(data))

    def _as_it_is(self, summary: str) -> Outcome:
        return Outcome(
            operation=None,
            seq=0,
            at_ms=self._kernel.clock(),
            model=REGISTRY,
            version=None,
            digest=None,
            summary=summary,
            already=True,
        )


def _one_of(data: frozenset[str], only: str, *, name: str) -> str:
    fitting = [digest for digest in data if digest.startswith(spellings(only))]
    if len(fitting) != 1:
        few = "no dataset" if not fitting else f"{len(fitting)} datasets"
        raise InvalidInput(
            f"{name} was trained from {few} whose digest begins with {printable(only)}",
            hint=f"lastgood show {quote(name)} prints the digests",
        )
    return fitting[0]


def _hold_on(tx: Connection, found: Found, environment: str) -> rows.HoldRow | None:
    return next(
        (
            hold
            for hold in rows.holds_of(tx, found.model.id)
            if hold.version == found.version.version and hold.environment == environment
        ),
        None,
    )


def _check(command: PlaceHold) -> None:
    if command.lasts_s is not None and not 1 <= command.lasts_s <= HOLD_LASTS_S_MAX:
        raise InvalidInput("A hold lasts from a second to ten years")
    if len(command.owner) > OWNER_LENGTH_MAX:
        raise InvalidInput(f"An owner's name may have {OWNER_LENGTH_MAX} characters")
