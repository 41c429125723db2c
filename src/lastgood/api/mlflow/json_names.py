"""Field names as protobuf's JSON form writes them: ``experimentIds`` where the protocol says ``experiment_ids``.

MLflow's server reads both, as every parser of that form must; clients made from the protocol's description
by a generator send the first.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, get_args

import msgspec

__all__ = ["has_camel_names", "with_protocol_names"]

_LETTER_AFTER = re.compile(r"_([a-z0-9])")


def has_camel_names(body: bytes, kind: type[msgspec.Struct]) -> bool:
    """Whether the JSON text may hold a name of that message, or of one inside it, in the other form."""
    # Most bodies hold no capital at all, which is found out faster than the absence of some names.
    return not body.islower() and any(quoted in body for quoted in _quoted(kind))


def with_protocol_names(raw: Any, kind: type[msgspec.Struct]) -> Any:
    """The same JSON value with the protocol's names; a field that was sent in both forms stays as it was.

    Messages hold other messages, lists and plain values but no free maps, so that a key is always a field.
    """
    return _renamed(raw, _names(kind))


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {_name(key, value, names): _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return value


def _name(key: str, among: Mapping[str, Any], names: Mapping[str, str]) -> str:
    name = names.get(key, key)
    return key if name in among else name


@lru_cache(maxsize=512)
def _quoted(kind: type[msgspec.Struct]) -> tuple[bytes, ...]:
    return tuple(f'"{name}"'.encode() for name in _names(kind))


@lru_cache(maxsize=512)
def _names(kind: type[msgspec.Struct]) -> Mapping[str, str]:
    found = {}
    for struct in _structs(kind):
        for field in msgspec.structs.fields(struct):
            camel = _LETTER_AFTER.sub(lambda match: match[1].upper(), field.encode_name)
            if camel != field.encode_name:
                found[camel] = field.encode_name
    return found


def _structs(annotation: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation
        for field in msgspec.structs.fields(annotation):
            yield from _structs(field.type)
    for part in get_args(annotation):
        yield from _structs(part)
