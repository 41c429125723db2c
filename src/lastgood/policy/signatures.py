"""Do callers of one signature get answers from another? MLflow's rules for columns and tensors."""

import json
from typing import Any, Literal

__all__ = ["inputs_accepted", "refused_inputs"]

_WIDER = {
    "integer": {"long", "double"},
    "long": set(),
    "float": {"double"},
    "double": set(),
}
"""What a model that declares the wider type accepts: MLflow converts without loss."""


def inputs_accepted(
    candidate: str, live: str, *, name: str, live_name: str
) -> tuple[Literal["pass", "fail", "unknown"], str]:
    """Would callers of the live version still be answered by the candidate? And why, in words.

    Args:
        candidate: The candidate's signature; empty if it has none.
        live: That of the live version.
        name: What the candidate is called in the words.
        live_name: What the live version is called.
    """
    for who, signature in ((name, candidate), (live_name, live)):
        if not signature:
            return "unknown", f"{who} has no signature"
    refused = refused_inputs(candidate, live)
    if refused is None:
        return "unknown", "a signature cannot be read"
    if refused:
        return "fail", f"callers of {live_name} would be refused: {'; '.join(refused)}"
    return "pass", f"the inputs of {live_name} are still accepted"


def refused_inputs(candidate: str, live: str) -> list[str] | None:
    """Why inputs that fit the live signature would not fit the candidate's; None if one cannot be read.

    Columns that the candidate does not know are no reason: MLflow drops them.
    """
    try:
        ours, theirs = (json.loads(text).get("inputs") for text in (candidate, live))
        ours, theirs = (json.loads(i) if isinstance(i, str) else i for i in (ours, theirs))
    except (ValueError, AttributeError):
        return None
    if not isinstance(theirs, list) or not theirs:
        return None
    if not ours:
        return []  # it states nothing of its inputs: it refuses none
    try:
        return _refused(ours, theirs)
    except (KeyError, TypeError, AttributeError):
        return None


def _refused(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[str]:
    if not all(entry.get("name") for entry in (*ours, *theirs)):
        return _by_position(ours, theirs)
    sent = {entry["name"]: entry for entry in theirs}
    found = []
    for entry in ours:
        name = entry["name"]
        if name not in sent:
            if entry.get("required", True):
                found.append(f"it needs '{name}', which they do not send")
            continue
        found += _one(f"'{name}'", entry, sent[name])
    return found


def _by_position(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[str]:
    if len(ours) != len(theirs):
        return [f"it takes {len(ours)} inputs, they send {len(theirs)}"]
    return [
        why
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True))
        for why in _one(f"input {index}", a, b)
    ]


def _one(what: str, ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    if ours.get("type") != theirs.get("type"):
        wider = _WIDER.get(str(theirs.get("type")), set())
        if ours.get("type") not in wider:
            return [f"{what} is {ours.get('type')}, they send {theirs.get('type')}"]
    if ours.get("required", True) and not theirs.get("required", True):
        return [f"{what} is required, they may leave it out"]
    tensor, sent = ours.get("tensor-spec"), theirs.get("tensor-spec")
    if tensor and sent:
        if tensor["dtype"] != sent["dtype"]:
            return [f"{what} is {tensor['dtype']}, they send {sent['dtype']}"]
        a, b = tensor["shape"], sent["shape"]
        if len(a) != len(b) or any(x not in {-1, y} for x, y in zip(a, b, strict=True)):
            return [f"{what} has the shape {a}, they send {b}"]
    return []
