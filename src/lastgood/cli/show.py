"""``lastgood show``."""

from typing import Annotated

import typer

from lastgood.cli.output import Output, bytes_of, moment, styled, text
from lastgood.cli.session import Session
from lastgood.cli.words import (
    At,
    approvals_text,
    as_of_line,
    gates_text,
    holds_text,
    marks_text,
    refs_text,
)
from lastgood.core.manifest import Manifest
from lastgood.core.reproducibility import ITEMS
from lastgood.core.views import VersionView

__all__ = ["made_of", "show", "show_evidence"]

FILES_SHOWN_MAX = 20
PACKAGES_SHOWN_MAX = 12
_OUTCOME_STYLE = {"pass": "green", "fail": "red", "unknown": "yellow"}


def show(
    context: typer.Context,
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF",
            help="The version: churn, churn/4, churn@champion, churn@production~1 ...",
        ),
    ],
    at: At = None,
) -> None:
    """Show a version: what it is made of, where it came from, what is thought of it."""
    session = Session.of(context)
    asked = session.moment(at)
    with session.registry() as registry:
        view = registry.show(reference, at=asked)
    if session.as_json:
        session.out.json(view)
        return
    as_of_line(asked, session.out)
    show_version(view, session.out)


def show_version(view: VersionView, out: Output) -> None:
    """Print everything known of a version."""
    out.line(
        styled(f"{view.model}/{view.version}", "bold"),
        "  " if view.description else "",
        view.description,
    )
    registered = (
        f"{moment(view.registered_ms)} ({out.ago(view.registered_ms)}) by {view.registered_by}"
    )
    out.facts(
        [
            ("refs", refs_text(view.refs)),
            ("judged", marks_text(view.marks, because=True)),
            ("holds", holds_text(view.holds, out)),
            ("approvals", approvals_text(view.approvals, out)),
            ("gates", gates_text(view.verdicts, out)),
            ("stage", "" if view.stage == "None" else view.stage),
            (
                "digest",
                view.digest
                or styled("external: nothing can be promised about its bytes", "yellow"),
            ),
            ("registered", f"{registered}, {view.operation}"),
            ("source", view.source),
            ("run", view.run_id),
            ("tags", _pairs(view.tags)),
            *(made_of(view.manifest) if view.manifest is not None else ()),
        ]
    )
    show_evidence(view, out)
    if view.manifest is not None:
        _show_files(view.manifest, out)


def show_evidence(view: VersionView, out: Output, *, indent: int = 0) -> None:
    """Print what was found out about a version."""
    if view.manifest is not None:
        have = f"{len(ITEMS) - len(view.missing)} of {len(ITEMS)}"
        lacks = "\n".join(f"{one.item}: {one.what}" for one in view.missing)
        missing = styled(lacks, "yellow") if lacks else ""
        out.facts([("evidence", have), ("missing", missing)], indent=indent)
    out.facts(
        (
            (
                one.name.replace("_", " "),
                text(styled(one.outcome, _OUTCOME_STYLE[one.outcome]), f": {one.summary}"),
            )
            for one in view.evidence
        ),
        indent=indent,
    )


def made_of(manifest: Manifest) -> list[tuple[str, str]]:
    """What a version was made from, as facts to show."""
    environment, code = manifest.environment, manifest.code
    metrics = {k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in manifest.metrics.items()}
    data = (
        f"{d.name} {d.digest}" + (f" ({d.context})" if d.context else "") for d in manifest.data
    )
    branch = f" ({code.branch})" if code.branch else ""
    return [
        ("metrics", _pairs(metrics)),
        ("params", _pairs(manifest.params)),
        ("data", "\n".join(data)),
        ("code", f"{code.commit[:12]}{branch} {code.remote}".strip()),
        ("patch", code.patch or ("not kept: the tree was dirty" if code.dirty else "")),
        ("made by", " ".join((code.entry_point, *code.arguments))),
        ("python", f"{environment.python} {environment.platform}".strip()),
        ("settings", _pairs(environment.settings)),
        ("packages", _some(environment.packages, PACKAGES_SHOWN_MAX, separator=", ")),
        ("installed", f"{len(environment.installed)} packages" if environment.installed else ""),
        ("flavors", ", ".join(manifest.flavors)),
        ("signature", manifest.signature),
    ]


def _show_files(manifest: Manifest, out: Output) -> None:
    count = len(manifest.files)
    out.line(styled(f"{count} file{'s' if count != 1 else ''}, {bytes_of(manifest.size)}", "dim"))
    out.table(
        ["FILE", ">SIZE", "DIGEST"],
        ((f.path, bytes_of(f.size), f.digest[:19]) for f in manifest.files[:FILES_SHOWN_MAX]),
        indent=2,
    )
    if count > FILES_SHOWN_MAX:
        out.indented(styled(f"and {count - FILES_SHOWN_MAX} more; --json lists all", "dim"))


def _pairs(values: dict[str, str]) -> str:
    return "  ".join(f"{key}={value}" for key, value in sorted(values.items()))


def _some(values: tuple[str, ...], count: int, *, separator: str) -> str:
    rest = len(values) - count
    return separator.join(values[:count]) + (f" and {rest} more" if rest > 0 else "")
