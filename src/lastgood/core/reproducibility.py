"""What a version lacks to be made again: a pure rule over its manifest and the evidence on it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lastgood.core.evidence import LOAD_TEST, EvidenceOutcome
from lastgood.core.manifest import Manifest

__all__ = ["ITEMS", "Missing", "missing_items"]

NAMES_SHOWN_MAX = 3
_HASH_SEED_RANDOM = "random"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One item that is missing: a name for policies, and a sentence for people."""

    item: str
    what: str


def missing_items(
    manifest: Manifest, outcomes: Mapping[str, EvidenceOutcome]
) -> tuple[Missing, ...]:
    """Everything of `ITEMS` that the version lacks, in that order.

    Args:
        manifest: Of the version.
        outcomes: The newest outcome of each piece of evidence, by name.
    """
    found = []
    for item, rule in _RULES.items():
        if what := rule(manifest):
            found.append(Missing(item=item, what=what))
    outcome = outcomes.get(LOAD_TEST)
    if outcome != "pass":
        what = {None: "no load test", "fail": "the load test failed"}.get(
            outcome, "the load test was left out"
        )
        found.append(Missing(item=LOAD_TEST, what=what))
    return tuple(found)


def _commit(manifest: Manifest) -> str:
    return "" if manifest.code.commit else "no Git commit"


def _patch(manifest: Manifest) -> str:
    lacks = manifest.code.dirty and manifest.code.patch is None
    return "the tree was dirty and its patch is not kept" if lacks else ""


def _untracked(manifest: Manifest) -> str:
    names = manifest.code.untracked
    return f"files that Git does not track: {_some(names)}" if names else ""


def _entry_point(manifest: Manifest) -> str:
    return "" if manifest.code.entry_point else "no entry point: which script made it is not known"


def _data(manifest: Manifest) -> str:
    return "" if manifest.data else "no data is recorded"


def _data_digests(manifest: Manifest) -> str:
    names = [data.name for data in manifest.data if not data.digest]
    return f"data without a digest: {_some(names)}" if names else ""


def _python(manifest: Manifest) -> str:
    return "" if manifest.environment.python else "the Python version is not known"


def _packages(manifest: Manifest) -> str:
    environment = manifest.environment
    if environment.installed:
        return ""
    if not environment.packages:
        return "no packages are recorded"
    loose = [line for line in environment.packages if "==" not in line and " @ " not in line]
    return f"packages without a version: {_some(loose)}" if loose else ""


def _local_packages(manifest: Manifest) -> str:
    names = manifest.environment.local
    return f"packages from a directory, which no index has: {_some(names)}" if names else ""


def _seed(manifest: Manifest) -> str:
    settings = manifest.environment.settings
    told = any("seed" in name.lower() for name in settings if name != "PYTHONHASHSEED")
    given = any(
        name.lower().endswith(("seed", "random_state")) and value not in {"", "None"}
        for name, value in manifest.params.items()
    )
    fixed = settings.get("PYTHONHASHSEED", _HASH_SEED_RANDOM) != _HASH_SEED_RANDOM
    return "" if told or given or fixed else "no seed is recorded"


def _input_example(manifest: Manifest) -> str:
    return "" if manifest.input_example else "the model has no input example"


_RULES: dict[str, Callable[[Manifest], str]] = {
    "commit": _commit,
    "patch": _patch,
    "untracked": _untracked,
    "entry_point": _entry_point,
    "data": _data,
    "data_digests": _data_digests,
    "python": _python,
    "packages": _packages,
    "local_packages": _local_packages,
    "seed": _seed,
    "input_example": _input_example,
}
ITEMS = (*_RULES, LOAD_TEST)
"""The names of all items, as policies may require them."""


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    rest = len(listed) - NAMES_SHOWN_MAX
    return ", ".join(listed[:NAMES_SHOWN_MAX]) + (f" and {rest} more" if rest > 0 else "")
