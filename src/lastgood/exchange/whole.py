"""A whole import: bring everything, read everything again, compare."""

import time
from dataclasses import dataclass

from lastgood.core.commands import Caller
from lastgood.exchange.comparing import Comparing
from lastgood.exchange.files import ArtifactFiles
from lastgood.exchange.importing import Import
from lastgood.exchange.report import Comparison, Progress, Report
from lastgood.exchange.source import Source
from lastgood.exchange.translation import Translation
from lastgood.sdk.client import RemoteRegistry

__all__ = ["Counts", "count_store", "import_store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much there is."""

    address: str
    experiments: int
    runs: int
    points: int
    logged_models: int
    registered_models: int
    versions: int
    notes: tuple[str, ...] = ()


def count_store(source: Source, *, progress: Progress) -> Counts:
    """Read everything but files and count. Raises ServerUnreachable, InvalidInput."""
    runs = points = 0
    progress.step("runs")
    for batch in source.runs():
        runs += len(batch)
        points += sum(len(series.points) for series in source.histories(batch))
        progress.advance(len(batch))
    progress.step("models")
    models = source.models()
    return Counts(
        address=source.address,
        experiments=len(source.experiments()),
        runs=runs,
        points=points,
        logged_models=sum(len(batch) for batch in source.logged_models()),
        registered_models=len(models),
        versions=sum(len(batch) for model in models for batch in source.versions(model)),
        notes=tuple(source.notes),
    )


def import_store(
    source: Source,
    files: ArtifactFiles,
    registry: RemoteRegistry,
    *,
    caller: Caller,
    copies_files: bool,
    progress: Progress,
) -> Report:
    """Bring all of a store here and compare both sides.

    Args:
        source: The store.
        files: The files of its runs.
        registry: Where to.
        caller: In whose name.
        copies_files: Whether files come over too; else their addresses stay as they are.
        progress: Told what happens.

    Raises:
        ServerUnreachable, StoreUnavailable: one of the two sides is gone; do it again.
        InvalidInput: the store cannot be read.
    """
    began = time.monotonic()
    translation = Translation(copies_files=copies_files)
    target = registry.importing(caller)
    work = Import(
        source=source,
        files=files,
        registry=registry,
        target=target,
        translation=translation,
        progress=progress,
    )
    work.run()
    comparing = Comparing(
        source=source,
        files=files,
        target=target,
        translation=translation,
        progress=progress,
        folders=work.folders,
        found=Comparison(),
    )
    comparing.run()
    return Report(
        address=source.address,
        seconds=round(time.monotonic() - began, 3),
        kinds=comparing.found.reports(work.new),
        points=comparing.points,
        bytes_sent=work.bytes_sent,
        problems=tuple(work.problems),
        differences=tuple(comparing.found.differences),
        notes=(*source.notes, *_renumbered(translation)),
    )


def _renumbered(translation: Translation) -> list[str]:
    return [
        f"experiment {there} is {here} here: another one had its id"
        for there, here in translation.experiment_ids.items()
        if there != here
    ]
