"""The interpreter that runs now: its version, platform, packages, seeds and thread counts.

Read from directory names, because parsing the metadata of each package takes a hundred times as long.
"""

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from lastgood.core.manifest import Environment

__all__ = ["SETTING_VARIABLES", "environment_now", "fits", "platform_name"]

_DIST_INFO = ".dist-info"
PACKAGES_MAX = 10_000
SETTING_LENGTH_MAX = 200
SETTING_VARIABLES = (
    "PYTHONHASHSEED",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
    "CUBLAS_WORKSPACE_CONFIG",
    "TF_DETERMINISTIC_OPS",
    "PL_GLOBAL_SEED",
)
"""Variables that change what a training computes."""


def environment_now(seeds: Mapping[str, str] | None = None) -> Environment:
    """What this process runs in, with the seeds that are told."""
    packages = dict(_packages())
    return Environment(
        python=platform.python_version(),
        installed=tuple(f"{name}=={version}" for name, (version, _) in sorted(packages.items())),
        local=tuple(name for name, (_, local) in sorted(packages.items()) if local),
        platform=platform_name(),
        settings={
            **{
                name: value[:SETTING_LENGTH_MAX]
                for name in SETTING_VARIABLES
                if (value := os.environ.get(name))
            },
            **(seeds or {}),
        },
    )


def platform_name() -> str:
    """System, processor and C library; nothing that changes with every update of the kernel."""
    library = "".join(platform.libc_ver())
    parts = (platform.system().lower(), platform.machine().lower(), library)
    return "-".join(part for part in parts if part)


def fits(declared: tuple[str, ...], installed: tuple[str, ...]) -> bool:
    """Whether what a model declares could have been trained here: every pin is installed as it says."""
    have = dict(line.split("==", 1) for line in installed)
    for line in declared:
        name, equals, version = line.partition("==")
        if equals and have.get(_normal(name.partition("[")[0])) != version.strip():
            return False
    return True


def _packages() -> Iterator[tuple[str, tuple[str, bool]]]:
    """Name, version, and whether it came from a directory. Of two of one name the first is imported."""
    seen: set[str] = set()
    for folder in dict.fromkeys(sys.path):
        try:
            names = [e.name for e in os.scandir(folder or ".") if e.name.endswith(_DIST_INFO)]
        except OSError:
            continue
        for entry in names:
            name, dash, version = entry.removesuffix(_DIST_INFO).partition("-")
            name = _normal(name)
            if dash and name not in seen and len(seen) < PACKAGES_MAX:
                seen.add(name)
                yield name, (version, _is_local(Path(folder or ".", entry)))


def _is_local(info: Path) -> bool:
    try:
        url = json.loads((info / "direct_url.json").read_bytes()).get("url", "")
    except (OSError, ValueError, AttributeError):
        return False
    return str(url).startswith("file:")


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")
