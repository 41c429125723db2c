"""Parts of answers that several verbs show alike."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Annotated

import typer
from rich.text import Text

from lastgood.cli.output import Output, clean, moment, span, styled, text
from lastgood.core.ids import Digest, Instant, VersionNumber
from lastgood.core.moments import Moment
from lastgood.core.references import ANY_ENVIRONMENT
from lastgood.core.verdicts import Verdict
from lastgood.core.views import (
    ApprovalView,
    HoldView,
    LogEntry,
    MarkView,
    ModelPlan,
    Plan,
    VerdictsView,
)

__all__ = [
    "At",
    "Python",
    "approvals_text",
    "as_of_line",
    "brief",
    "effects_block",
    "entry_block",
    "gates_text",
    "holds_text",
    "marks_text",
    "model_plan_block",
    "number",
    "plan_block",
    "plan_details",
    "refs_text",
    "short",
    "until_text",
    "verdicts_block",
]

At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME|OPERATION",
        help="As of a moment: 2026-11-02T09:30 (local), ...Z, 5m ago, or op-3f2a...",
    ),
]
"""The option of every command that looks."""

Python = Annotated[
    str | None,
    typer.Option(
        "--python",
        metavar="PATH",
        help="The interpreter that loads the model, as for serve; by default the one that runs lastgood.",
    ),
]
"""The option of every command that tries a model out."""

DIGEST_DIGITS_SHOWN = 12
PART_DIGITS_SHOWN = 48  # a commit with the beginning of its patch
_WHOLE_DIGEST = re.compile(r"sha256:([0-9a-f]{12})[0-9a-f]*")
_MARK_STYLE = {"good": "green", "bad": "red", "yanked": "red"}
_OUTCOME_STYLE = {"pass": "green", "fail": "bold red", "unknown": "yellow"}
_KIND_STYLE = {
    "promote": "green",
    "refuse": "bold red",
    "rollback": "bold magenta",
    "register": "cyan",
    "mark": "yellow",
}


def short(digest: Digest | None) -> str:
    """A digest's beginning, which is enough to name the version."""
    return digest[: len("sha256:") + DIGEST_DIGITS_SHOWN] if digest else "external, unverified"


def brief(said: str) -> str:
    """The text with the beginnings of the digests in it: enough to tell them apart in a table."""
    return _WHOLE_DIGEST.sub(r"\1", said)


def number(version: VersionNumber | None) -> str:
    """A version in words."""
    return "nothing" if version is None else f"version {version}"


def refs_text(refs: Iterable[str]) -> Text:
    """Names of refs."""
    return Text(", ").join(
        styled(ref, "bold cyan" if ref == "production" else "cyan") for ref in refs
    )


def marks_text(marks: Iterable[MarkView], *, because: bool = False) -> Text:
    """Judgements with their environment."""
    return Text("\n" if because else ", ").join(
        text(
            styled(mark.value, _MARK_STYLE[mark.value]),
            "" if mark.environment == ANY_ENVIRONMENT else f" in {mark.environment}",
            f": {mark.because}" if because and mark.because else "",
        )
        for mark in marks
    )


def holds_text(holds: Iterable[HoldView], out: Output) -> Text:
    """Holds with who, why and until when."""
    return Text("\n").join(
        text(
            styled("on hold", "yellow"),
            f" in {hold.environment}, by {hold.actor} {out.ago(hold.since_ms)}",
            until_text(hold.expires_ms, out),
            f", ask {hold.owner}" if hold.owner else "",
            f": {hold.reason}" if hold.reason else "",
        )
        for hold in holds
    )


def approvals_text(approvals: Iterable[ApprovalView], out: Output) -> Text:
    """Who said yes or no for which environment, in what sense, until when."""
    return Text("\n").join(
        text(
            styled("rejected", "bold red")
            if one.word == "reject"
            else styled(one.meaning, "green"),
            f" for {one.environment}",
            f" as {one.meaning}" if one.word == "reject" and one.meaning != "approved" else "",
            f", by {one.actor} {out.ago(one.at_ms)}",
            until_text(one.expires_ms, out),
            f": {one.reason}" if one.reason else "",
        )
        for one in approvals
    )


def gates_text(asked: Iterable[VerdictsView], out: Output) -> Text:
    """What the gates of each environment said last, and why they refused."""
    return Text("\n").join(
        text(
            f"{one.environment}: ",
            styled("let in", "green") if one.allowed else styled("refused", "bold red"),
            f" {out.ago(one.at_ms)}, {one.operation}",
            "" if one.allowed else "".join(_why_refused(one)),
        )
        for one in asked
    )


def _why_refused(asked: VerdictsView) -> Iterator[str]:
    for verdict in asked.verdicts:
        if verdict.outcome != "pass":
            yield f"\n  {verdict.outcome} {verdict.gate}: {verdict.message}"


def until_text(expires_ms: Instant | None, out: Output) -> str:
    """Until when a hold or an approval counts, to append; empty if it does not end."""
    if expires_ms is None:
        return ""
    over = expires_ms <= out.now
    return f", expired {out.ago(expires_ms)}" if over else f", until {moment(expires_ms)}"


def as_of_line(asked: Moment | None, out: Output) -> None:
    """Which moment an answer is about, if it is not now."""
    if isinstance(asked, int):
        out.line(styled(f"as of {moment(asked)} ({out.ago(asked)})", "dim"))
    elif asked is not None:
        out.line(styled(f"as of the end of {asked}", "dim"))


def entry_block(entry: LogEntry, out: Output) -> None:
    """One operation of the log."""
    kind = styled(f"{entry.kind:<9}", _KIND_STYLE.get(entry.kind, "bold"))
    out.line(kind, " ", styled(entry.summary or entry.model, "bold"))
    stayed = f" · stayed {span(entry.active_ms)}" if entry.active_ms is not None else ""
    where = f" on {entry.origin.host}" if entry.origin.host else ""
    through = " through MLflow" if entry.origin.door == "mlflow" else ""
    when = f"{moment(entry.at_ms)} · {out.ago(entry.at_ms)}"
    who = f"by {entry.actor.name}{where}{through}"
    out.indented(styled(f"{entry.operation} · {when} · {who}{stayed}", "dim"))
    if entry.reason:
        out.indented(styled(f"“{clean(entry.reason)}”", "italic"))


def plan_block(plan: Plan, out: Output) -> None:
    """What an act would do."""
    out.line(
        styled(f"{plan.model}@{plan.environment}", "bold"),
        f": {number(plan.before)} -> {number(plan.after)}",
    )
    if plan.already:
        out.indented("this is the state already: nothing would change")
    plan_details(plan, out)
    if plan.parts:
        out.table(
            ["PART", "FROM", "TO", ""],
            (
                (
                    p.part,
                    brief(p.before)[:PART_DIGITS_SHOWN] or "-",
                    brief(p.after)[:PART_DIGITS_SHOWN] or "-",
                    p.because,
                )
                for p in plan.parts
            ),
            indent=2,
        )
    if plan.verdicts:
        verdicts_block(plan.verdicts, out, blocking=plan.blocking)
    if not plan.allowed:
        out.indented(styled("it would be refused", "bold red"))
    out.indented(styled("nothing was changed: this is the plan only", "dim"))


def verdicts_block(
    verdicts: Collection[Verdict], out: Output, *, blocking: Collection[str]
) -> None:
    """What each gate says, and what to do about those that stand in the way."""
    out.table(
        ("", "GATE", "WHY"),
        [(styled(v.outcome, _OUTCOME_STYLE[v.outcome]), v.gate, v.message) for v in verdicts],
        indent=2,
    )
    for verdict in verdicts:
        if verdict.gate in blocking and verdict.next_step:
            out.indented(styled("next: ", "cyan"), f"{verdict.gate}: {verdict.next_step}")


def model_plan_block(plan: ModelPlan, out: Output) -> None:
    """What restore, revert, undo or redo would do."""
    out.line(styled(plan.model, "bold"), f": {plan.operation or 'before its first operation'}")
    if plan.about:
        out.indented(styled(plan.about, "dim"))
    if plan.already:
        out.indented("this is the state already: nothing would change")
    effects_block(plan, out)
    out.indented(styled("nothing was changed: this is the plan only", "dim"))


def effects_block(plan: ModelPlan, out: Output) -> None:
    """Each change of a plan."""
    for effect in plan.effects:
        out.indented("· ", styled(effect, "yellow") if effect.startswith("hold") else effect)


def plan_details(plan: Plan, out: Output) -> None:
    """Why this version, what was passed over, and what changes beside the ref itself."""
    if plan.because:
        out.indented(f"{number(plan.after)}: {plan.because}")
    for passed in plan.passed_over:
        out.indented(styled("passed over ", "yellow"), passed)
    for effect in plan.effects:
        if not effect.startswith(f"{plan.environment}: "):  # the headline says that
            out.indented("· ", styled(effect, "yellow") if effect.startswith("hold") else effect)
