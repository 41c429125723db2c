"""The rows of the data of two versions, where their bytes are at hand: kept, in DVC's cache, or where they lay."""

import csv
import importlib
import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lastgood.core.manifest import DataInput, Manifest
from lastgood.core.ports import Registry
from lastgood.core.tables import Table, TableMove, compare_tables
from lastgood.errors import Unverified
from lastgood.sdk.checkout import write_data
from lastgood.sdk.git import top_of

__all__ = ["compare_data"]

ROWS_MAX = 200_000
"""Read of each file from its beginning: enough to see a distribution move."""
_TABLES = (".csv", ".parquet")


def compare_data(
    registry: Registry, a: str, b: str, *, repository: Path | None = None
) -> tuple[tuple[TableMove, ...], tuple[str, ...]]:
    """Compare every CSV and Parquet file that both versions were trained on and that changed.

    Returns:
        How each moved, and what could not be compared, in words.

    Raises:
        Unverified: a version is external.
    """
    old, new = (_tables(_manifest(registry, reference)) for reference in (a, b))
    moves, missing = [], []
    clone = top_of(repository or Path.cwd())
    for path in sorted(old.keys() & new.keys()):
        if old[path].digest == new[path].digest:
            continue
        with tempfile.TemporaryDirectory(prefix="lastgood-") as folder:
            found: list[Table] = []
            for side, data in (("a", old[path]), ("b", new[path])):
                file, lacks = write_data(registry, data, Path(folder, side), clone=clone)
                table = _read(file) if file is not None else None
                if table is None:
                    missing.append(lacks or f"data {path}: its rows cannot be read here")
                    break
                found.append(table)
            else:
                moves.append(compare_tables(path, *found))
    return tuple(moves), tuple(missing)


def _manifest(registry: Registry, reference: str) -> Manifest:
    manifest = registry.show(reference).manifest
    if manifest is None:
        raise Unverified(f"{reference} is external: what it was trained on is not known")
    return manifest


def _tables(manifest: Manifest) -> dict[str, DataInput]:
    return {data.path: data for data in manifest.data if data.path.endswith(_TABLES)}


def _read(file: Path) -> Table | None:
    """The first rows as columns of text; None if the file is no table after all."""
    if file.suffix == ".parquet":
        return _parquet(file)
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            return _columns(csv.reader(stream))
    except (csv.Error, UnicodeDecodeError):
        return None


def _columns(lines: Iterator[list[str]]) -> dict[str, list[str]]:
    names = next(lines, [])
    table: dict[str, list[str]] = {name: [] for name in names}
    for _, cells in zip(range(ROWS_MAX), lines, strict=False):
        for name, cell in zip(names, cells, strict=False):
            table[name].append(cell.strip())
    return table


def _parquet(file: Path) -> Table | None:
    if importlib.util.find_spec("pyarrow") is None:
        return None
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    try:
        rows = next(parquet.ParquetFile(file).iter_batches(batch_size=ROWS_MAX), None)
    except arrow.ArrowException:
        return None
    if rows is None:
        return {}
    return {
        name: ["" if cell is None else str(cell) for cell in column.to_pylist()]
        for name, column in zip(rows.schema.names, rows.columns, strict=True)
    }
