"""``lastgood fsck``."""

import typer

from lastgood.cli.output import bytes_of, styled
from lastgood.cli.session import Session
from lastgood.errors import IntegrityFailure

__all__ = ["fsck"]


def fsck(context: typer.Context) -> int:
    """Verify the log's chain, compare the state with a rebuild from the log, read and hash every object.

    Exit 6 if anything is wrong. Repairs nothing.
    """
    session = Session.of(context)
    with session.registry() as registry:
        report = registry.fsck()
    code = IntegrityFailure.exit_code if report.problems else 0
    out = session.out
    if session.as_json:
        out.json(report)
        return code
    for problem in report.problems:
        out.line(
            styled(f"{problem.where}: ", "bold red"),
            styled(problem.subject, "bold"),
            f": {problem.what}",
        )
    count = len(report.problems)
    if count:
        out.line(styled(f"{count} problem{'s' if count != 1 else ''}", "bold red"))
    else:
        out.line(styled("✓ ", "bold green"), "everything is as it must be")
    out.facts(
        [
            ("operations", f"{report.operations:,} in the log, each chained to the one before"),
            ("projections", f"{report.projections:,} rows compared with a rebuild from the log"),
            ("objects", f"{report.objects:,} read and hashed, {bytes_of(report.bytes)}"),
            (
                "orphans",
                f"{report.orphans:,} objects that nothing names yet; harmless"
                if report.orphans
                else "",
            ),
            ("head", report.head),
            ("", styled("note the head elsewhere: then a log cut short would show", "dim")),
        ],
        indent=2,
    )
    return code
