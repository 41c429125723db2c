"""From observations to evidence: tenures, what gateways do now, and which version is last good."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lastgood.core.goodness import Candidate, Tenure, judge, last_good
from lastgood.core.ids import GatewayId, Instant, RefName, VersionNumber
from lastgood.core.references import ANY_ENVIRONMENT
from lastgood.core.views import MarkView, ObservedSlot
from lastgood.engine.settings import Settings
from lastgood.store import observations
from lastgood.store import registry as rows
from lastgood.store.database import Connection
from lastgood.store.restraints import kept_out_by_data

__all__ = ["LastGood", "find_last_good", "marks_on", "observed_slots", "tenures_of"]

SILENT_AFTER_MS = 15_000  # three signs of life missed
FORGOTTEN_AFTER_MS = (
    24 * 3_600_000
)  # a gateway silent for a day is no longer shown as part of the fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class LastGood:
    """The version that a rollback returns to, and the newer ones it passes over."""

    candidate: Candidate | None
    passed_over: tuple[Candidate, ...]


def tenures_of(connection: Connection, model_id: int, ref: RefName) -> list[Tenure]:
    """All stays of versions in an environment, oldest first, each with what was observed of it."""
    moves = list(reversed(rows.moves_of(connection, model_id, ref)))
    if not moves:
        return []
    events = observations.events_of(connection, model_id, ref)
    seen = observations.gateway_rows(connection)
    sums = observations.traffic_sums(connection, model_id, ref)
    found = []
    for index, move in enumerate(moves):
        if move.after is None:
            continue
        to_ms = moves[index + 1].at_ms if index + 1 < len(moves) else None
        total = sums.get((move.seq, move.after))
        found.append(
            Tenure(
                version=move.after,
                seq=move.seq,
                from_ms=move.at_ms,
                to_ms=to_ms,
                followers=_followers(events, seen, from_ms=move.at_ms, to_ms=to_ms),
                loaded=frozenset(
                    e.gateway for e in events if e.seq == move.seq and e.kind == "serving"
                ),
                requests=total.requests if total else 0,
                failures=total.failures if total else 0,
                first_ms=total.first_ms if total else None,
                last_ms=total.last_ms if total else None,
            )
        )
    return found


def _followers(
    events: Sequence[observations.EventRow],
    seen: dict[GatewayId, observations.GatewayRow],
    *,
    from_ms: Instant,
    to_ms: Instant | None,
) -> frozenset[str]:
    """Gateways that followed the ref at some moment of [from_ms, to_ms)."""
    following: set[str] = set()
    for event in events:
        if to_ms is not None and event.at_ms >= to_ms:
            break
        if event.kind == "stopped" and event.at_ms < from_ms:
            following.discard(event.gateway)
        elif event.kind == "following":
            following.add(event.gateway)
    # A gateway that fell silent before the order was given could not be ordered anything.
    return frozenset(
        g for g in following if g in seen and seen[GatewayId(g)].last_seen_ms >= from_ms
    )


def find_last_good(
    connection: Connection,
    model: rows.ModelRow,
    ref: RefName,
    settings: Settings,
    *,
    current: VersionNumber | None,
    damaged: dict[VersionNumber, str] | None = None,
    now: Instant,
) -> LastGood:
    """Which version to return to.

    Args:
        connection: A snapshot.
        model: The model.
        ref: The environment.
        settings: With the rule for the environment.
        current: What is live now; never chosen.
        damaged: Versions whose bytes were found damaged, with what is wrong.
        now: Holds that have expired by then do not count.
    """
    tenures = tenures_of(connection, model.id, ref)
    kept_out = kept_out_by_data(connection, model.id, ref, now=now)
    unavailable = {
        number: f"it was made with data that is on hold with {held}"
        for number, held in kept_out.items()
    } | (damaged or {})
    for number in {t.version for t in tenures}:
        version = rows.version_of(connection, model.id, number)
        if version is None:
            unavailable[number] = "it was deleted"
        elif version.digest is None:
            unavailable[number] = "it is external: its bytes are not here"
    candidate, passed_over = last_good(
        tenures,
        current=current,
        rule=settings.rule_for(ref),
        marks=_marks_in(connection, model.id, ref),
        held=[
            h.version
            for h in rows.holds_of(connection, model.id)
            if h.environment == ref and h.counts_at(now)
        ],
        unavailable=unavailable,
    )
    return LastGood(candidate=candidate, passed_over=passed_over)


def _marks_in(connection: Connection, model_id: int, ref: RefName) -> dict[VersionNumber, str]:
    """A person's judgement per version there; what is yanked everywhere is yanked there."""
    marks = rows.marks_of(connection, model_id)
    return {
        **{m.version: m.value for m in marks if m.environment == ref},
        **{m.version: m.value for m in marks if m.environment == ANY_ENVIRONMENT},
    }


def marks_on(
    connection: Connection, model: rows.ModelRow, version: VersionNumber, settings: Settings
) -> tuple[MarkView, ...]:
    """What is thought of a version, per environment: a person's judgement, or `good` earned by serving."""
    by_person = {
        m.environment: m for m in rows.marks_of(connection, model.id) if m.version == version
    }
    views = [
        MarkView(
            environment=environment,
            value=mark.value,  # type: ignore[arg-type]  # the log holds no others
            source="person",
            because=f"{mark.actor}: {mark.reason}" if mark.reason else f"marked by {mark.actor}",
        )
        for environment, mark in by_person.items()
    ]
    for ref in (r.ref for r in rows.refs_of(connection, model.id) if r.ref not in by_person):
        tenures = tenures_of(connection, model.id, ref)
        for index in range(len(tenures) - 1, -1, -1):
            if tenures[index].version != version:
                continue
            good, because = judge(
                tenures[index], tenures[index - 1] if index else None, settings.rule_for(ref)
            )
            if good:
                views.append(
                    MarkView(environment=ref, value="good", source="earned", because=because)
                )
                break
    return tuple(views)


def observed_slots(
    connection: Connection,
    model_id: int,
    ref: RefName,
    *,
    ordered: VersionNumber | None,
    at: Instant,
    past: bool,
) -> tuple[ObservedSlot, ...]:
    """What each gateway was doing for the ref at that moment.

    Args:
        connection: A snapshot.
        model_id: The model.
        ref: The ref.
        ordered: The version that should be served.
        at: The moment.
        past: Whether `at` lies in the past; then a gateway is silent only if it was not heard of since.
    """
    slots: dict[GatewayId, ObservedSlot] = {}
    served: dict[GatewayId, int] = {}  # the operation behind what each serves
    known = observations.gateway_rows(connection)
    for event in observations.events_of(connection, model_id, ref, until_ms=at):
        row = known.get(event.gateway)
        if row is None or _is_of_a_spare(event, served.get(event.gateway, 0)):
            continue
        if event.kind == "serving":
            served[event.gateway] = event.seq
        before = slots.get(event.gateway) or ObservedSlot(
            gateway=event.gateway,
            host=row.host,
            url=row.url,
            version=None,
            digest=None,
            since_ms=event.at_ms,
            last_seen_ms=row.last_seen_ms,
            state="waiting",
        )
        slots[event.gateway] = _after(before, event)
    shown = [
        _with_silence(slot, at=at, past=past) for slot in slots.values() if slot.state != "stopped"
    ]
    return tuple(
        replace(slot, agrees=slot.state == "serving" and slot.version == ordered)
        for slot in shown
        if at - slot.last_seen_ms <= FORGOTTEN_AFTER_MS
    )


_STATE_AFTER: dict[
    str, Literal["serving", "loading", "load_failed", "crashed", "stopped", "waiting"]
] = {
    "loading": "loading",
    "load_failed": "load_failed",
    "crashed": "crashed",
    "stopped": "stopped",
}


def _is_of_a_spare(event: observations.EventRow, serving_seq: int) -> bool:
    """Whether it happened to a version kept warm; what serves goes on serving."""
    return event.kind in {"loading", "loaded", "load_failed", "crashed"} and event.seq < serving_seq


def _after(slot: ObservedSlot, event: observations.EventRow) -> ObservedSlot:
    if event.kind == "serving":
        return replace(
            slot,
            version=event.version,
            digest=event.digest,
            since_ms=event.at_ms,
            state="serving",
            detail=event.detail,
        )
    if event.kind == "following":
        return replace(
            slot, state="waiting" if slot.version is None or slot.state == "stopped" else slot.state
        )
    if event.kind == "unfollowed":
        return replace(
            slot,
            detail=event.detail or "the ref points nowhere; it keeps answering with what it has",
        )
    if event.kind == "loaded":
        return replace(slot, detail=event.detail) if event.detail else slot
    state = _STATE_AFTER.get(event.kind)
    return replace(slot, state=state, detail=event.detail) if state else slot


def _with_silence(slot: ObservedSlot, *, at: Instant, past: bool) -> ObservedSlot:
    silent = slot.last_seen_ms < at if past else at - slot.last_seen_ms > SILENT_AFTER_MS
    if not silent:
        return slot
    seconds = (at - slot.last_seen_ms) / 1000
    return replace(
        slot, state="silent", detail=f"not heard of for {seconds:.0f} s; it was {slot.state}"
    )
