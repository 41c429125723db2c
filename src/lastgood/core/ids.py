"""Identifiers, each its own type, and the rules by which text from outside becomes one."""

import re
import unicodedata
from typing import NewType

from lastgood.errors import InvalidInput, InvalidName

__all__ = [
    "REGISTRY",
    "Digest",
    "GatewayId",
    "Instant",
    "ModelName",
    "OperationId",
    "RefName",
    "RequestId",
    "RunId",
    "VersionNumber",
    "digest_of_hex",
    "hex_of",
    "is_reserved_ref",
    "parse_digest",
    "parse_model_name",
    "parse_ref_name",
    "parse_version_number",
    "printable",
]

ModelName = NewType("ModelName", str)
REGISTRY = ModelName("")
"""In place of a model: what concerns the registry as a whole."""
RefName = NewType("RefName", str)
VersionNumber = NewType("VersionNumber", int)
Digest = NewType("Digest", str)
"""``sha256:`` and 64 lower-case hexadecimal digits."""
RunId = NewType("RunId", str)
OperationId = NewType("OperationId", str)
"""``op-`` and the first 16 hexadecimal digits of the operation's hash."""
GatewayId = NewType("GatewayId", str)
RequestId = NewType("RequestId", str)
Instant = NewType("Instant", int)
"""Milliseconds since 1970-01-01T00:00Z."""

MODEL_NAME_LENGTH_MAX = 256  # MLflow's column width
REF_NAME_LENGTH_MAX = 255  # MLflow's limit for aliases
VERSION_NUMBER_MAX = 2**31 - 1

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_REF_NAME = re.compile(r"[\w-]+\Z")
_MLFLOW_VERSION_ALIAS = re.compile(r"[vV]\d+\Z")


def printable(text: str, *, length_max: int = 80) -> str:
    """The text as it may stand in a message: control characters escaped, cut to `length_max`."""
    safe = text
    if not text.isprintable():
        safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return safe if len(safe) <= length_max else safe[: length_max - 1] + "…"


def _has_control(text: str) -> bool:
    # None of these is printable, and most names are.
    return not text.isprintable() and any(
        unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text
    )


def parse_model_name(text: str) -> ModelName:
    """A model name, by MLflow's rules and one of ours: no control characters.

    Raises:
        InvalidName: blank, too long, with ``/`` or ``:``, not path-normal, or with control characters.
    """
    if not text.strip():
        raise InvalidName(
            "Missing value for required parameter 'name'", hint="give the model a name"
        )
    shown = printable(text)
    if len(text) > MODEL_NAME_LENGTH_MAX:
        raise InvalidName(
            f"Invalid Registered Model name '{shown}': it exceeds the maximum length of "
            f"{MODEL_NAME_LENGTH_MAX} characters (it has {len(text)})"
        )
    if "/" in text or ":" in text or text in {".", ".."}:
        raise InvalidName(
            f"Invalid Registered Model name: '{shown}'. A name may not contain '/' or ':' nor be '.' or '..'",
            hint="use '-' or '.' to separate the parts of a name",
        )
    if _has_control(text):
        raise InvalidName(
            f"Invalid Registered Model name: '{shown}'. It contains control characters"
        )
    return ModelName(text)


def parse_ref_name(text: str) -> RefName:
    """A ref name, by MLflow's rules for aliases.

    Raises:
        InvalidName: empty, too long, other than word characters and ``-``, ``latest``, or like ``v3``.
    """
    shown = printable(text)
    if len(text) > REF_NAME_LENGTH_MAX:
        raise InvalidName(
            f"Registered model alias name '{shown}' exceeds the maximum length of {REF_NAME_LENGTH_MAX} characters"
        )
    if not _REF_NAME.match(text):
        raise InvalidName(
            f"Invalid alias name: '{shown}'. Only word characters and '-' may be used",
            hint="for example: champion, production, eu-west",
        )
    if is_reserved_ref(text):
        raise InvalidName(
            f"Invalid alias name: '{shown}' is reserved, because it reads like a version",
            hint="choose another name",
        )
    return RefName(text)


def is_reserved_ref(text: str) -> bool:
    """Whether it reads like a version, so that no ref can have the name."""
    return text.lower() == "latest" or _MLFLOW_VERSION_ALIAS.match(text) is not None


def parse_version_number(text: str | int) -> VersionNumber:
    """A version number.

    Raises:
        InvalidInput: not a whole number from 1 to 2^31-1.
    """
    shown = printable(str(text))
    if not re.fullmatch(r"[0-9]{1,10}", str(text)) or not 1 <= int(text) <= VERSION_NUMBER_MAX:
        raise InvalidInput(
            f"Invalid model version: '{shown}'. A version is a whole number from 1 up"
        )
    return VersionNumber(int(text))


def parse_digest(text: str) -> Digest:
    """A complete digest.

    Raises:
        InvalidInput: not ``sha256:`` and 64 lower-case hexadecimal digits.
    """
    if not _DIGEST.match(text):
        raise InvalidInput(
            f"Invalid digest: '{printable(text)}'. Expected sha256: and 64 hexadecimal digits"
        )
    return Digest(text)


def digest_of_hex(hex_digits: str) -> Digest:
    """The digest of those 64 hexadecimal digits, which the caller computed."""
    return Digest(f"sha256:{hex_digits}")


def hex_of(digest: Digest) -> str:
    """The 64 hexadecimal digits."""
    return digest.removeprefix("sha256:")
