"""The files of runs and models, wherever an MLflow store keeps them."""

import ipaddress
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lastgood.core.ids import printable
from lastgood.errors import InvalidInput
from lastgood.exchange.library import read_folder
from lastgood.sdk.scan import HashedFile, find_files, hash_file

__all__ = ["ArtifactFiles", "is_in_a_store", "place_of"]

ARTIFACT_FOLDERS = ("mlruns", "mlartifacts")  # where MLflow puts artifacts unless told otherwise
PROXIED = "/api/2.0/mlflow-artifacts/artifacts/"


def place_of(address: str) -> str:
    """One spelling for the several that an artifact address may have."""
    parts = urlsplit(address)
    if parts.scheme in {"", "file"}:
        return unquote(parts.path).rstrip("/")
    if parts.scheme == "mlflow-artifacts":
        return f"mlflow-artifacts:/{parts.path.strip('/')}"
    _, proxied, path = parts.path.partition(PROXIED)
    if parts.scheme in {"http", "https"} and proxied:
        return f"mlflow-artifacts:/{path.strip('/')}"
    return address.rstrip("/")


def is_in_a_store(address: str) -> bool:
    """Whether the address is of the kind that MLflow itself keeps files at, not of some other service."""
    place = place_of(address)
    return place.startswith(("/", "mlflow-artifacts:"))


class ArtifactFiles:
    """Reads the files at artifact addresses.

    Args:
        tracking_uri: The MLflow server whose addresses these are; empty: there is none.
        artifact_root: The directory, or address, that ``mlflow-artifacts:`` stands for.
        directory: The store's own directory; where its runs are looked for if it was moved.
    """

    def __init__(
        self, *, tracking_uri: str = "", artifact_root: str = "", directory: Path | None = None
    ) -> None:
        self._tracking_uri = tracking_uri
        self._artifact_root = artifact_root.rstrip("/")
        self._directory = directory
        self._far = bool(tracking_uri) and not _is_loopback(tracking_uri)

    @contextmanager
    def at(self, address: str) -> Iterator[tuple[HashedFile, ...]]:
        """All files at the address, each read once; their locations are good inside the block.

        Raises:
            InvalidInput: the place cannot be read. Conflict: a file changes while it is read.
        """
        place = place_of(address)
        if place.startswith("mlflow-artifacts:"):
            if self._artifact_root:
                place = place_of(f"{self._artifact_root}/{place.partition('/')[2]}")
            elif not self._tracking_uri:
                raise InvalidInput(
                    f"{printable(address, length_max=200)} is behind an MLflow server",
                    hint="--artifact-root says where that server keeps its artifacts; or name the server itself",
                )
        if urlsplit(place).scheme == "" and place:
            yield self._hashed(self._local(place, address))
            return
        if not place:
            yield ()
            return
        with tempfile.TemporaryDirectory(prefix="lastgood-artifacts-") as folder:
            into = Path(folder)
            found = read_folder(place, tracking_uri=self._tracking_uri, into=into)
            yield self._hashed(into if found else None)

    def _local(self, place: str, address: str) -> Path | None:
        """The directory, or None if nothing was ever written to it."""
        if self._far and not self._artifact_root:
            raise InvalidInput(
                f"{printable(address, length_max=200)} is a directory on the server's machine",
                hint="run the import there, or say with --artifact-root where its files are",
            )
        path = Path(place)
        if path.is_absolute() and path.exists():
            return path
        if self._directory is None:
            return None
        # A store that was moved or copied still has its old addresses inside; older servers wrote relative ones.
        of_model = len(path.parts) > 3 and path.parts[-3] == "models"
        inside = Path(*path.parts[-4 if of_model else -3 :])
        candidates = (self._directory / folder / inside for folder in ("", *ARTIFACT_FOLDERS))
        return next((found for found in candidates if found.exists()), None)

    @staticmethod
    def _hashed(path: Path | None) -> tuple[HashedFile, ...]:
        if path is None or not any(entry.is_file() for entry in path.rglob("*")):
            return ()
        return tuple(hash_file(found) for found in find_files(path))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
