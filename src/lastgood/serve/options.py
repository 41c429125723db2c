"""What a gateway is told, and the limits it keeps."""

import ipaddress
import sys
from dataclasses import dataclass
from pathlib import Path

from lastgood.core.ids import ModelName, RefName
from lastgood.errors import LastgoodError

__all__ = ["ServeOptions", "check_host"]

BODY_BYTES_MAX = 64 * 1024 * 1024
QUEUED_BYTES_MAX = 512 * 1024 * 1024
IN_FLIGHT_MAX = 512
REQUEST_TIMEOUT_S = 60.0  # as in MLflow's own server
IMPORT_TIMEOUT_S = 120.0
LOAD_TIMEOUT_S = 600.0
RESTART_WAIT_S = 10.0
# Longer than a request may take: no request is ever cut off by a swap.
DRAIN_TIMEOUT_S = REQUEST_TIMEOUT_S + 5.0
SHUTDOWN_TIMEOUT_S = 10.0
REGISTRY_GRACE_S = 1.0
WATCH_WAIT_S = 25.0
WORKER_THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """One gateway: the ref that it follows, where it listens and how patient it is."""

    model: ModelName
    ref: RefName
    cache_dir: Path
    """Bundles, the plan and the gateway's identity; belongs to one gateway at a time."""
    host: str = "127.0.0.1"
    port: int = 5001
    """0 takes a free port; `ready_file` says which."""
    python: Path = Path(sys.executable)
    """The interpreter of the workers; needs mlflow and what the model needs, not lastgood."""
    ready_file: Path | None = None
    """Written once the gateway listens: ``{"url": ..., "pid": ...}``."""
    worker_threads: int = WORKER_THREADS
    """Predictions that run at the same time in one worker."""
    keep_warm: int = 1
    """Former versions whose workers keep running, so that a rollback needs no load."""
    body_bytes_max: int = BODY_BYTES_MAX
    queued_bytes_max: int = QUEUED_BYTES_MAX
    in_flight_max: int = IN_FLIGHT_MAX
    request_timeout_s: float = REQUEST_TIMEOUT_S
    import_timeout_s: float = IMPORT_TIMEOUT_S
    load_timeout_s: float = LOAD_TIMEOUT_S
    restart_wait_s: float = RESTART_WAIT_S
    """How long a request waits for a crashed worker to come back."""
    drain_timeout_s: float = DRAIN_TIMEOUT_S
    shutdown_timeout_s: float = SHUTDOWN_TIMEOUT_S
    registry_grace_s: float = REGISTRY_GRACE_S
    """How long the start waits for the registry before it serves the cached plan."""
    watch_wait_s: float = WATCH_WAIT_S


def check_host(host: str) -> None:
    """Refuse to listen where others could reach the gateway.

    Raises:
        LastgoodError: not a loopback address.
    """
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise LastgoodError(
            f"Refusing to listen on {host}: access control does not exist yet, so anybody who reaches "
            "the gateway could use the model",
            hint="use --host 127.0.0.1 and put a proxy with authentication in front of it",
        )
