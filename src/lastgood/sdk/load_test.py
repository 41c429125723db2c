"""The load test: before a model is registered it is loaded and answers its input example, elsewhere."""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from lastgood.core.evidence import LOAD_TEST, Evidence
from lastgood.core.golden import Golden
from lastgood.core.manifest import Manifest
from lastgood.errors import Refused
from lastgood.trial import Trial, TrialOrder, TrialReport, mlflow_is_here

__all__ = ["LoadTest", "Tested", "left_out"]

PYFUNC = "python_function"
_LOADER = re.compile(rb"^\s*loader_module: (mlflow\.[a-z_]+)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """The finding, and the golden answers to be stored as the object that it names."""

    evidence: Evidence
    golden: bytes = b""


class LoadTest:
    """A load test of a model directory; its process starts importing as soon as this is made.

    Args:
        path: The model directory; nothing is started for one that says it cannot be tested.
        trial: A process that waits already, for a directory that is still to be written; it ends with the test.
    """

    def __init__(self, path: Path, *, trial: Trial | None = None) -> None:
        self._path = path
        self._stack = ExitStack()
        if trial is None and mlflow_is_here():
            modules = _modules(path / "MLmodel")
            trial = Trial(modules=modules) if modules is not None else None
        self._trial = self._stack.enter_context(trial) if trial is not None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def run(self, manifest: Manifest) -> Tested:
        """Load the model and let it answer its input example twice.

        Raises:
            Refused: it cannot be loaded, or does not answer.
        """
        if PYFUNC not in manifest.flavors:
            return _unknown("not an MLflow model that mlflow.pyfunc can load")
        if not manifest.input_example:
            return _unknown("the model has no input example")
        if self._trial is None:
            return _unknown("mlflow is not installed here")
        try:
            report = self._trial.run(TrialOrder(path=self._path))
        except Refused as error:
            raise Refused(
                f"The model does not pass its load test, so nothing was registered: {error.message}",
                hint=f"{error.hint}\nto register it all the same: --no-load-test (load_test=False)",
            ) from error
        return _passed(manifest, report)


def _modules(mlmodel: Path) -> Sequence[str] | None:
    """What the model will probably import, before the file is read properly; None: not worth a process."""
    try:
        text = mlmodel.read_bytes()
    except OSError:
        return None
    if PYFUNC.encode() not in text or b"saved_input_example_info:" not in text:
        return None
    loader = _LOADER.search(text)
    if loader is None:
        return ()
    module = loader[1].decode()
    return module, module.rpartition(".")[2]  # mlflow.sklearn, and sklearn


def left_out() -> Tested:
    """What is recorded when somebody does not want the test."""
    return _unknown("left out on request")


def _unknown(why: str) -> Tested:
    return Tested(evidence=Evidence(name=LOAD_TEST, outcome="unknown", summary=why))


def _passed(manifest: Manifest, report: TrialReport) -> Tested:
    golden = Golden(
        input=manifest.input_example, answers=report.answers, deterministic=report.deterministic
    ).encode()
    words = "answered its input example"
    words += "" if report.deterministic else "; the answers differ from call to call"
    words += "" if golden is not None else "; the answers are too large to keep"
    return Tested(
        evidence=Evidence(
            name=LOAD_TEST,
            outcome="pass",
            summary=f"{words}: {report.words}",
            figures=report.figures,
        ),
        golden=golden or b"",
    )
