"""Where a version came from and what is thought of it, as `why` and `blame` show it."""

from lastgood.cli.output import Output
from lastgood.cli.show import made_of, show_evidence
from lastgood.cli.words import holds_text, marks_text
from lastgood.core.views import LogEntry, VersionView

__all__ = ["gate_facts", "origin_facts"]

_SHOWN = ("metrics", "data", "code", "patch", "made by")


def origin_facts(version: VersionView, out: Output) -> None:
    """Run, data, commit and metrics of a version; judgements, holds, and what was found out about it."""
    manifest = version.manifest
    facts = dict(made_of(manifest)) if manifest is not None else {}
    out.facts(
        [
            ("source", version.source),
            ("run", version.run_id),
            *((name, facts[name]) for name in _SHOWN if name in facts),
            ("judged", marks_text(version.marks, because=True)),
            ("holds", holds_text(version.holds, out)),
        ],
        indent=2,
    )
    show_evidence(version, out, indent=2)


def gate_facts(ordered_by: LogEntry, out: Output) -> None:
    """What the gates and approvals said when it was put there."""
    for change in ordered_by.changes:
        if change["kind"] == "verdicts_recorded":
            out.facts(
                [(v["gate"], f"{v['outcome']}: {v['message']}") for v in change["verdicts"]],
                indent=2,
            )
