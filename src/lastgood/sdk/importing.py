"""The routes of an import, spoken to a `lastgood server`."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from lastgood.core.exchange import (
    Asked,
    Found,
    ImportedFile,
    ImportedModel,
    ImportedVersion,
    RunRecord,
    Series,
    portable,
)
from lastgood.core.tracking import Experiment, LoggedModel
from lastgood.errors import ServerUnreachable
from lastgood.sdk.transport import Transport

__all__ = ["RemoteImport"]

T = TypeVar("T")
WRITE_TIMEOUT_S = 600.0  # versions are frozen, and all of it is made durable, before the answer


class RemoteImport:
    """What an import sends. All of it may be repeated.

    Args:
        transport: The registry.
        headers: Who imports.
    """

    def __init__(self, transport: Transport, *, headers: Mapping[str, str]) -> None:
        self._http = transport
        self._headers = headers

    def experiments(self, experiments: Sequence[Experiment]) -> list[int]:
        """Make experiments; the ids that they have there. Raises InvalidInput."""
        return self._ask("experiments", {"experiments": experiments}, list[int])

    def known_runs(self, ids: Sequence[str]) -> set[str]:
        """Those of the runs that are there already."""
        return self._ask("runs/known", {"ids": ids}, set[str])

    def known_logged_models(self, ids: Sequence[str]) -> set[str]:
        """Those of the logged models that are there already."""
        return self._ask("logged-models/known", {"ids": ids}, set[str])

    def points(self, series: Sequence[Series]) -> None:
        """Histories of metrics, before the runs that they belong to. Raises InvalidInput."""
        self._send("points", {"series": series})

    def runs(self, runs: Sequence[RunRecord]) -> int:
        """Runs; how many were new. Raises InvalidInput, NotFound."""
        return self._ask("runs", {"runs": runs}, int)

    def logged_models(self, models: Sequence[LoggedModel]) -> int:
        """Logged models; how many were new. Raises InvalidInput, NotFound."""
        return self._ask("logged-models", {"models": models}, int)

    def files(self, files: Sequence[ImportedFile]) -> None:
        """Artifacts whose objects were sent before. Raises InvalidInput, NotFound."""
        self._send("files", {"files": files})

    def models(self, models: Sequence[ImportedModel], *, reason: str) -> int:
        """Registered models; how many operations that took. Raises InvalidInput, AlreadyExists."""
        return self._ask("models", {"models": models, "reason": reason}, int)

    def numbers_used(self, names: Sequence[str]) -> list[int]:
        """The highest version number ever given under each of the names."""
        return self._ask("models/numbers", {"ids": names}, list[int])

    def versions(self, versions: Sequence[ImportedVersion], *, reason: str) -> int:
        """Versions; how many were new. Raises InvalidInput, NotFound, IntegrityFailure."""
        return self._ask("versions", {"versions": versions, "reason": reason}, int)

    def aliases(self, models: Sequence[ImportedModel], *, reason: str) -> int:
        """Aliases and the refs of stages; how many operations that took. Raises NotFound."""
        return self._ask("aliases", {"models": models, "reason": reason}, int)

    def digests(self, asked: Asked) -> Found:
        """Digests of what is there."""
        return self._ask("digests", asked, Found)

    def _ask(self, path: str, body: object, answer: type[T]) -> T:
        sent = self._send(path, body)
        try:
            return msgspec.json.decode(sent, type=answer)
        except msgspec.MsgspecError as error:
            raise ServerUnreachable(
                f"The registry's answer cannot be read: {error}",
                hint="do server and client have the same version?",
            ) from error

    def _send(self, path: str, body: object) -> bytes:
        plain: Any = portable(msgspec.to_builtins(body))
        return self._http.call(
            "POST",
            f"import/{path}",
            body=plain,
            headers=self._headers,
            answer_timeout_s=WRITE_TIMEOUT_S,
        )
