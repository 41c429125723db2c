"""Asking a version its input example again, elsewhere, and comparing with what it answered in its load test.

The rehearsal of a rollback does it step by step; the gate ``golden`` does it for a version that is to go live.
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from lastgood.core.evidence import GOLDEN, LOAD_TEST, Evidence, EvidenceOutcome
from lastgood.core.golden import Golden, decode_golden
from lastgood.core.ids import printable
from lastgood.core.ports import Registry
from lastgood.core.views import VersionView
from lastgood.errors import Refused, Unverified
from lastgood.serve.bundle import BundleCache
from lastgood.trial import Trial, TrialOrder, TrialReport, look_into

__all__ = ["UNSTEADY", "ask_again", "check_answers", "files_of", "golden_of", "is_pyfunc"]

PYFUNC = "python_function"
SUMMARY_LENGTH_MAX = 1000
UNSTEADY = "its answers differ from call to call: there is nothing to compare with"


def is_pyfunc(view: VersionView) -> bool:
    """Whether it is a model that a process here can load."""
    return view.manifest is not None and PYFUNC in view.manifest.flavors


def files_of(registry: Registry, view: VersionView, folder: Path) -> Path:
    """The model's files under `folder`, every digest checked. Raises IntegrityFailure, Unverified."""
    if view.digest is None:
        raise Unverified(f"{view.model}/{view.version} is external: its bytes are not here")
    return BundleCache(folder, registry).prepare(view.digest).path


def golden_of(registry: Registry, view: VersionView) -> Golden | None:
    """What it answered in its load test; None if that was not kept. Raises IntegrityFailure."""
    kept = next((e.object for e in view.evidence if e.name == LOAD_TEST and e.object), None)
    return decode_golden(b"".join(registry.read_object(kept))) if kept is not None else None


def check_answers(golden: Golden, report: TrialReport) -> None:
    """Refuse answers that are not the golden ones, within their tolerance."""
    if where := golden.difference(report.answers):
        raise Refused(
            f"It answers its input example otherwise than when it was registered: {where}"
        )


def ask_again(registry: Registry, reference: str, *, python: str) -> Evidence:
    """Load a version here, let it answer its input example and compare: evidence for the gate ``golden``.

    What cannot be compared is unknown; the model runs in a process that is thrown away.

    Raises:
        NotFound, InvalidReference: of the reference. IntegrityFailure: a file of it is damaged.
        InvalidInput: `python` cannot be started.
    """
    view = registry.show(reference)
    golden = golden_of(registry, view)
    if golden is None or not golden.deterministic:
        why = UNSTEADY if golden else "it has no golden answers: they come from a load test"
        return _said("unknown", why)
    if not look_into(python, ()).mlflow:
        return _said("unknown", "the interpreter has no mlflow to load it with")
    try:
        report = _answered(registry, view, python=python)
    except Refused as error:
        return _said("fail", f"it does not answer: {error.message}")
    try:
        check_answers(golden, report)
    except Refused as error:
        return _said("fail", error.message, report)
    return _said("pass", f"it answers as when it was registered: {report.words}", report)


def _answered(registry: Registry, view: VersionView, *, python: str) -> TrialReport:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lastgood-"))
        trial = stack.enter_context(Trial(python=python))  # its process starts while the files come
        return trial.run(TrialOrder(path=files_of(registry, view, Path(folder)), times=2))


def _said(outcome: EvidenceOutcome, summary: str, report: TrialReport | None = None) -> Evidence:
    return Evidence(
        name=GOLDEN,
        outcome=outcome,
        summary=printable(summary, length_max=SUMMARY_LENGTH_MAX),
        figures=report.figures if report is not None else {},
    )
