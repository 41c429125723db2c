"""What a version's datasets were for: to train it, or to measure it; and how people name them."""

from lastgood.core.manifest import Manifest

__all__ = ["measured_on", "spellings", "trained_on"]

EVALUATION = frozenset({"test", "testing", "eval", "evaluation", "validation", "holdout"})
"""Contexts of datasets that a metric is measured on; training data is none of them."""


def spellings(text: str) -> tuple[str, ...]:
    """What a digest may begin with if a person writes it so: `sha256sum` prints no algorithm."""
    value = text.removeprefix("data:")
    return (value,) if ":" in value else (value, f"sha256:{value}")


def trained_on(manifest: Manifest) -> frozenset[str]:
    """Digests of the data that went into the model, as far as it is known."""
    return frozenset(
        entry.digest
        for entry in manifest.data
        if entry.digest and entry.context.lower() not in EVALUATION
    )


def measured_on(manifest: Manifest, name: str = "") -> frozenset[str]:
    """Digests of the data that metrics were measured on: of that name; else for evaluation; else all."""
    known = [entry for entry in manifest.data if entry.digest]
    if name:
        return frozenset(entry.digest for entry in known if entry.name == name)
    measured = [entry for entry in known if entry.context.lower() in EVALUATION]
    return frozenset(entry.digest for entry in measured or known)
