"""``lastgood store``."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lastgood.cli.output import styled
from lastgood.cli.session import Session
from lastgood.errors import IntegrityFailure, LastgoodError

if TYPE_CHECKING:
    from lastgood.engine.maintenance import StoreReport

__all__ = ["store"]


class Action(StrEnum):
    """What to do with the database."""

    CHECK = "check"
    MIGRATE = "migrate"


def store(
    context: typer.Context,
    action: Annotated[
        Action,
        typer.Argument(help="check: look, and change nothing. migrate: bring it up to date."),
    ],
) -> int:
    """Check the data directory's database, or migrate it: schema, projections, and whether the log is whole.

    Exit 1 if something is to be migrated, 6 if the log is damaged. A server migrates by itself when it starts.
    """
    from lastgood.engine.maintenance import look_at_store, migrate_store

    session = Session.of(context)
    before = None
    if action is Action.CHECK:
        report = look_at_store(session.data, store_url=session.store_url)
    else:
        before, report = migrate_store(session.data, store_url=session.store_url)
    _show(session, report, before)
    if report.flaws:
        return IntegrityFailure.exit_code
    return 0 if report.current else LastgoodError.exit_code


def _show(session: Session, report: "StoreReport", before: "StoreReport | None") -> None:
    out = session.out
    if session.as_json:
        out.json({"store": report, "current": report.current, "migrated": _changed(report, before)})
        return
    for flaw in report.flaws:
        out.line(styled("log: ", "bold red"), flaw)
    for warning in report.warnings:
        out.line(styled("warning: ", "bold yellow"), warning)
    out.line(styled(report.place, "bold"), f" ({report.system})")
    out.facts(
        [
            ("schema", _state(report.schema, report.schema_wanted)),
            ("projections", _state(report.projections, report.projections_wanted)),
            (
                "log",
                f"{report.operations:,} operations, {'damaged' if report.flaws else 'whole'}",
            ),
            ("migrated", "yes" if _changed(report, before) else ""),
        ],
        indent=2,
    )
    if not report.current:
        out.indented("next: ", styled(session.repeat("lastgood store migrate"), "cyan"))


def _changed(report: "StoreReport", before: "StoreReport | None") -> bool:
    if before is None:
        return False
    return (before.schema, before.projections) != (report.schema, report.projections)


def _state(found: str, wanted: str) -> str:
    if found == wanted:
        return f"{found}, current"
    return f"{found or 'none'}; this lastgood writes {wanted}"
