"""The `mlflow` library, as far as an exchange needs it: imported late, quiet, its errors in our words."""

import io
import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from lastgood.core.ids import printable
from lastgood.errors import InvalidInput, LastgoodError, NotSupported, ServerUnreachable

__all__ = [
    "clients_of",
    "convert_directory",
    "create_database",
    "in_our_words",
    "quiet",
    "read_folder",
    "require_mlflow",
    "upgrade_database",
]

RETRIES = "3"  # MLflow's own seven take minutes to say that no server answers


def require_mlflow() -> str:
    """Make sure that the library is there; its version.

    Raises:
        NotSupported: it is not installed, or too old.
    """
    # Before it is imported: reading somebody's registry is no reason to call a vendor.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", RETRIES)
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    try:
        with quiet():
            import mlflow
    except ImportError as error:
        raise NotSupported(
            f"An exchange with MLflow needs its library, which is not installed ({error})",
            hint="pip install 'lastgood[mlflow]'",
        ) from error
    version = str(mlflow.__version__)
    if int(version.partition(".")[0]) < 3:
        raise NotSupported(
            f"MLflow {version} is installed; an exchange needs 3 or newer, which reads the stores of older ones",
            hint="pip install -U 'lastgood[mlflow]'",
        )
    return version


def clients_of(url: str) -> tuple[Any, Any]:
    """A client of the MLflow server at that address, and one of its registry that does not hide prompts."""
    from mlflow import MlflowClient
    from mlflow.tracking._model_registry.client import ModelRegistryClient

    client = MlflowClient(tracking_uri=url, registry_uri=url)
    return client, ModelRegistryClient(url, url)


def convert_directory(directory: Path, database: Path) -> None:
    """Read an ``mlruns`` directory into a new database; the directory is not changed.

    Raises:
        NotSupported: the installed MLflow cannot. InvalidInput: the directory holds no store, or a broken one.
    """
    try:
        from mlflow.store.fs2db import migrate
    except ImportError as error:
        raise NotSupported(
            "This MLflow cannot convert a directory", hint="pip install -U mlflow"
        ) from error
    with in_our_words(str(directory)), redirect_stdout(io.StringIO()):
        migrate(directory, f"sqlite:///{database}", progress=False)


def upgrade_database(database: Path, *, shown: str) -> bool:
    """Bring a copy of an MLflow database to the schema of the installed library; whether it was older.

    Raises:
        InvalidInput: it is no database of MLflow, or of a newer one.
    """
    from alembic.util import CommandError
    from mlflow.store.db import utils

    with in_our_words(shown):
        engine = utils.create_sqlalchemy_engine(f"sqlite:///{database}")
        try:
            if utils._get_schema_version(engine) == utils._get_latest_schema_revision():  # noqa: SLF001
                return False
            utils._upgrade_db(engine)  # noqa: SLF001 - what `mlflow db upgrade` calls
        except CommandError as error:
            raise InvalidInput(
                f"{shown} was made by a newer MLflow than the one installed here: {error}",
                hint="pip install -U mlflow",
            ) from error
        finally:
            engine.dispose()
    return True


def create_database(database: Path) -> None:
    """Make an empty database with the schema of the installed library."""
    from mlflow.store.db import utils

    with in_our_words(str(database)):
        engine = utils.create_sqlalchemy_engine(f"sqlite:///{database}")
        try:
            utils._initialize_tables(engine)  # noqa: SLF001 - what a server does at its first start
        finally:
            engine.dispose()


def read_folder(address: str, *, tracking_uri: str, into: Path) -> bool:
    """Fetch all files at an artifact address; False if there are none."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with in_our_words(address):
        repository = get_artifact_repository(address, tracking_uri=tracking_uri or None)
        if not repository.list_artifacts():
            return False
        repository.download_artifacts("", dst_path=str(into))
        return True


@contextmanager
def in_our_words(address: str) -> Iterator[None]:
    """Turn what the library raises into errors that name the store."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except LastgoodError:
        raise
    except MlflowException as error:
        text = printable(str(error), length_max=300)
        if "Max retries exceeded" in text or "API request to" in text:
            raise ServerUnreachable(
                f"No MLflow server answers at {printable(address)}: {text}", hint="is it running?"
            ) from error
        raise InvalidInput(f"MLflow cannot read {printable(address)}: {text}") from error
    except (OSError, ImportError, sqlite3.Error) as error:
        raise InvalidInput(f"{printable(address)} cannot be read: {error}") from error
    except Exception as error:  # every storage library below MLflow has errors of its own
        raise InvalidInput(
            f"MLflow cannot read {printable(address)}: {type(error).__name__}: {printable(str(error), length_max=300)}"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's warnings and progress out of the command's output. For the main thread: it is global."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
