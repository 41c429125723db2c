"""Gates that run something: programs of the operator's, and the version itself for its golden answers.

They run here, on the caller's side, never in the registry; what they say is recorded as evidence.
"""

import os
import subprocess
import sys
from pathlib import Path

from lastgood.cli.session import Session
from lastgood.core.commands import RecordEvidence
from lastgood.core.evidence import Evidence, EvidenceOutcome
from lastgood.core.ids import printable
from lastgood.core.ports import Registry
from lastgood.core.views import CheckView
from lastgood.policy.facts import command_evidence

__all__ = ["run_here"]

SUMMARY_LENGTH_MAX = 1000
OUTPUT_READ_MAX = 64 * 1024  # bytes
PASS, FAIL = 0, 1


def run_here(
    session: Session, registry: Registry, view: CheckView, *, python: str | None = None
) -> bool:
    """Run whatever the policy wants run and record the verdicts as evidence of this version.

    Args:
        session: Who runs it.
        registry: Where the version is and the evidence goes.
        view: What the gates said so far.
        python: The interpreter that loads the model; None: this one.

    Returns:
        Whether there was anything to run; then the gates are worth asking again.
    """
    found = _run_programs(view)
    reference = f"{view.model}/{view.version}"
    if view.golden:
        from lastgood.cli.asking import ask_again

        found = (*found, ask_again(registry, reference, python=python or sys.executable))
    if not found:
        return False
    said = RecordEvidence(
        reference=reference, evidence=found, reason=f"gates for {view.environment}"
    )
    registry.record_evidence(said, caller=session.caller())
    return True


def _run_programs(view: CheckView) -> tuple[Evidence, ...]:
    """Run each program that the policy names.

    A program learns from its environment what to judge: ``LASTGOOD_REFERENCE``, ``LASTGOOD_DIGEST``,
    ``LASTGOOD_ENVIRONMENT`` and ``LASTGOOD_LIVE``. It says pass with exit code 0 and fail with 1; any
    other end is unknown.
    """
    given = {
        **os.environ,
        "LASTGOOD_REFERENCE": f"{view.model}/{view.version}",
        "LASTGOOD_DIGEST": view.digest or "",
        "LASTGOOD_ENVIRONMENT": view.environment,
        "LASTGOOD_LIVE": f"{view.model}/{view.live}" if view.live is not None else "",
    }
    return tuple(
        _run(name, command, timeout_s=view.timeouts_s[name], environment=given)
        for name, command in view.commands.items()
    )


def _run(
    name: str, command: tuple[str, ...], *, timeout_s: int, environment: dict[str, str]
) -> Evidence:
    outcome: EvidenceOutcome
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
            cwd=Path.cwd(),
        )
    except subprocess.TimeoutExpired:
        return _said(name, "unknown", f"it did not end within {timeout_s} s")
    except OSError as error:
        return _said(name, "unknown", f"it could not be started: {error}")
    outcome = {PASS: "pass", FAIL: "fail"}.get(done.returncode, "unknown")  # type: ignore[assignment]  # all are outcomes
    text = done.stdout[-OUTPUT_READ_MAX:].decode(errors="replace").strip()
    last = text.splitlines()[-1] if text else ""
    return _said(name, outcome, last or f"it ended with exit code {done.returncode}")


def _said(name: str, outcome: EvidenceOutcome, summary: str) -> Evidence:
    return Evidence(
        name=command_evidence(name),
        outcome=outcome,
        summary=printable(summary, length_max=SUMMARY_LENGTH_MAX),
    )
