"""What the HTTP layer works with: the parts of an engine, handed to every request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lastgood.api.webhooks.sender import Sender
    from lastgood.engine.artifacts import Artifacts
    from lastgood.engine.catalogue import Catalogue
    from lastgood.engine.importing import Importing
    from lastgood.engine.kernel import Kernel
    from lastgood.engine.registry import LocalRegistry
    from lastgood.engine.tracking import Tracking
    from lastgood.engine.tracking.searches import RunDocuments
    from lastgood.engine.uploads import Uploads
    from lastgood.engine.webhooks import Webhooks

__all__ = ["Services"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The engine behind the doors. Wired once per process, in `api/server.py`."""

    kernel: Kernel
    registry: LocalRegistry
    tracking: Tracking
    artifacts: Artifacts
    uploads: Uploads
    catalogue: Catalogue
    webhooks: Webhooks
    sender: Sender
    importing: Importing
    run_documents: RunDocuments
    """As MLflow's clients get them."""
