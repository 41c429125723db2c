"""Two versions side by side, as far as that needs their bytes: the code in full, the answers they give."""

import tempfile
from pathlib import Path

from lastgood.core.behaviour import Behaviour, compare_answers
from lastgood.core.manifest import Manifest
from lastgood.core.ports import Registry
from lastgood.errors import Refused, Unverified
from lastgood.sdk.checkout import CODE, MODEL, write_code, write_model
from lastgood.sdk.git import git_run
from lastgood.trial import Trial, TrialOrder, TrialReport

__all__ = ["behaviour", "code_diff"]

TOLERANCE = 1e-6
SERVING_EXAMPLE = "serving_input_example.json"
DIFF_TIMEOUT_S = 120.0


def code_diff(registry: Registry, a: str, b: str, *, repository: Path | None = None) -> bytes:
    """What Git says of the code of two versions, each at its commit with its patch.

    Raises:
        Refused: the code of one cannot be had here. Unverified: a version is external.
    """
    with tempfile.TemporaryDirectory(prefix="lastgood-") as folder:
        place = Path(folder).resolve()
        for side, reference in (("a", a), ("b", b)):
            made = place / side
            made.mkdir()
            lacks = write_code(
                registry, _manifest(registry, reference), made, repository=repository
            )
            if lacks:
                raise Refused(f"The code of {reference} cannot be shown: {'; '.join(lacks)}")
            (made / CODE).rename(place / f"{side}-code")
            made.rmdir()
            (place / f"{side}-code").rename(made)
        apart = {"GIT_CEILING_DIRECTORIES": str(place.parent)}
        options = ("--no-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-prefix")
        said = git_run(
            place, "diff", *options, "a", "b", more=apart, timeout_s=DIFF_TIMEOUT_S, fine=(0, 1)
        )
    if said is None:
        raise Refused("Git could not compare the code")
    return said


def behaviour(
    registry: Registry, a: str, b: str, *, given: Path | None = None, tolerance: float = TOLERANCE
) -> Behaviour:
    """How often two versions answer differently, each asked in a process of its own.

    Args:
        registry: Where they are.
        a: A version.
        b: Another.
        given: The input: a JSON request of MLflow, a CSV or a Parquet file; None: the input example of `a`.
        tolerance: Within which numbers are the same.

    Raises:
        Refused: one cannot be loaded or does not answer, or there is no input. Unverified: one is external.
    """
    sides = ((a, _manifest(registry, a)), (b, _manifest(registry, b)))
    reports: list[TrialReport] = []
    with (
        tempfile.TemporaryDirectory(prefix="lastgood-") as folder,
        Trial() as one,
        Trial() as other,
    ):
        places = [Path(folder, side) for side in ("a", "b")]
        for place, (_, manifest) in zip(places, sides, strict=True):
            place.mkdir()
            write_model(registry, manifest, place)
        given = given or _example(places[0] / MODEL, of=a)
        for trial, place, (reference, _) in zip((one, other), places, sides, strict=True):
            try:
                reports.append(trial.run(TrialOrder(path=place / MODEL, input=given, times=1)))
            except Refused as error:
                raise Refused(
                    f"{reference} does not answer: {error.message}", hint=error.hint
                ) from error
    return compare_answers(reports[0].answers, reports[1].answers, tolerance=tolerance)


def _example(model: Path, *, of: str) -> Path:
    """The input example as a request: any model with the same columns understands it."""
    file = model / SERVING_EXAMPLE
    if not file.is_file():
        raise Refused(f"{of} has no input example", hint="name an input: --input FILE")
    return file


def _manifest(registry: Registry, reference: str) -> Manifest:
    manifest = registry.show(reference).manifest
    if manifest is None:
        raise Unverified(
            f"{reference} is external: its bytes are not here, so it cannot be compared"
        )
    return manifest
