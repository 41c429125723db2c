"""Opening an MLflow store by its address, without changing anything in it."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lastgood.core.ids import printable
from lastgood.errors import InvalidInput, NotFound
from lastgood.exchange.database import DatabaseSource
from lastgood.exchange.files import ArtifactFiles
from lastgood.exchange.library import convert_directory, quiet, require_mlflow, upgrade_database
from lastgood.exchange.server import ServerSource
from lastgood.exchange.source import Source

__all__ = ["open_source"]

PAGES_PER_STEP = 10_000
SQLITE = "sqlite:///"


@contextmanager
def open_source(address: str, *, artifact_root: str = "") -> Iterator[tuple[Source, ArtifactFiles]]:
    """The store at an address, and the files of its runs.

    A SQLite file is read from a copy made in one piece, of the schema that the installed library knows;
    a directory is converted into such a file. Both are temporary.

    Args:
        address: ``http(s)://…``, ``sqlite:///PATH``, or the path of a database or an ``mlruns`` directory.
        artifact_root: Where the files of ``mlflow-artifacts:`` addresses are, for a store without its server.

    Raises:
        NotSupported: the MLflow library is missing, or the address is of another kind.
        NotFound: nothing is there. InvalidInput: what is there is no MLflow store. ServerUnreachable.
    """
    require_mlflow()
    with quiet(), _opened(address, artifact_root) as opened:
        yield opened


@contextmanager
def _opened(address: str, artifact_root: str) -> Iterator[tuple[Source, ArtifactFiles]]:
    if urlsplit(address).scheme in {"http", "https"}:
        with closing(ServerSource(address)) as server:
            files = ArtifactFiles(tracking_uri=address, artifact_root=artifact_root)
            yield server, files
        return
    path = _path_of(address)
    with tempfile.TemporaryDirectory(prefix="lastgood-exchange-") as temporary:
        copy = Path(temporary) / "mlflow.db"
        notes = []
        if path.is_dir():
            convert_directory(path, copy)
        else:
            _copy_database(path, copy)
            if upgrade_database(copy, shown=str(path)):
                notes.append(
                    "the schema is of an older MLflow: a copy was upgraded, your file is as it was"
                )
        with closing(DatabaseSource(copy, address=address, notes=notes)) as source:
            yield (
                source,
                ArtifactFiles(
                    artifact_root=artifact_root, directory=path if path.is_dir() else path.parent
                ),
            )


def _path_of(address: str) -> Path:
    if address.startswith(SQLITE):
        path = Path(unquote(address.removeprefix(SQLITE)))
    elif address.startswith("file:"):
        path = Path(unquote(urlsplit(address).path))
    elif "://" in address:
        kind = printable(address.partition(":")[0])
        raise InvalidInput(
            f"A store at {kind}://… cannot be read directly",
            hint="start `mlflow server` over it and name the address of that server",
        )
    else:
        path = Path(address)
    if not path.exists():
        raise NotFound(
            f"There is nothing at {printable(str(path))}",
            hint="name an MLflow server (http://…), a database (sqlite:///mlflow.db) or a directory (mlruns/)",
        )
    return path.absolute()


def _copy_database(path: Path, copy: Path) -> None:
    """Copy as of one moment, even while a server writes to it; the original is opened read-only."""
    try:
        with (
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as original,
            closing(sqlite3.connect(copy)) as target,
        ):
            original.backup(target, pages=PAGES_PER_STEP)
            tables = {row[0] for row in target.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise InvalidInput(f"{path} is not a SQLite database: {error}") from error
    if not tables >= {"experiments", "runs", "alembic_version"}:
        raise InvalidInput(f"{path} is not a database of MLflow")
