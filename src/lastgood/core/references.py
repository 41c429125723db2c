"""References: every way to name a version, and the grammar that reads them.

churn                              what is live in the default environment
churn@champion                     what that ref points to
churn/4                            version 4
churn@sha256:ab12                  the version with that digest (a unique beginning is enough)
churn@production~1                 what was live there before
churn@production@{2026-11-02T09:30}  what was live there then
models:/churn/4  models:/churn/Production  models:/churn@champion  models:/churn/latest
runs:/<run id>/model               the version registered from that run's artifact
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from lastgood.core.ids import (
    Instant,
    ModelName,
    RefName,
    RunId,
    VersionNumber,
    parse_model_name,
    parse_ref_name,
    parse_version_number,
    printable,
)
from lastgood.core.stages import ref_of_stage, stage_named
from lastgood.errors import InvalidReference, LastgoodError

__all__ = [
    "ANY_ENVIRONMENT",
    "DEFAULT_ENVIRONMENT",
    "ByDigest",
    "ByNumber",
    "ByRef",
    "ByRun",
    "Latest",
    "Reference",
    "parse_instant",
    "parse_reference",
]

DEFAULT_ENVIRONMENT = RefName("production")
ANY_ENVIRONMENT = RefName("*")
"""As the environment of a mark: all there are and all there will be. No ref can have that name."""
REFERENCE_LENGTH_MAX = 2000
STEPS_BACK_MAX = 10_000
DIGEST_PREFIX_MIN = 4

_EXAMPLES = "examples: churn, churn/4, churn@champion, churn@production~1, churn@sha256:ab12"
_BACK = re.compile(r"(?P<ref>.*)~(?P<back>\d{1,6})\Z")
_AT = re.compile(r"(?P<ref>.*)@\{(?P<at>[^{}]*)\}\Z")
_SHORT_DIGEST = re.compile(r"sha256:[0-9a-f]{1,64}\Z")
_RELATIVE = re.compile(r"-?(?P<n>\d{1,9})(?P<unit>ms|s|m|h|d)(?: ago)?\Z")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class ByNumber:
    """Version `number` of `model`."""

    model: ModelName
    number: VersionNumber


@dataclass(frozen=True, slots=True)
class ByDigest:
    """The version of `model` whose digest begins with `prefix`."""

    model: ModelName
    prefix: str


@dataclass(frozen=True, slots=True)
class ByRef:
    """What `ref` points to, `back` moves ago, or as it was `at` an instant."""

    model: ModelName
    ref: RefName
    back: int = 0
    at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Latest:
    """The highest version number of `model`."""

    model: ModelName


@dataclass(frozen=True, slots=True)
class ByRun:
    """The version registered from `path` of a run's artifacts."""

    run: RunId
    path: str


Reference = ByNumber | ByDigest | ByRef | Latest | ByRun


def parse_reference(text: str, *, now: Instant) -> Reference:
    """Read a reference; `now` gives relative times such as ``@{5m ago}`` their meaning.

    Raises:
        InvalidReference: the text does not follow the grammar; the message says where.
    """
    if not text or len(text) > REFERENCE_LENGTH_MAX:
        raise InvalidReference(
            "A reference is empty or longer than 2000 characters", hint=_EXAMPLES
        )
    try:
        if text.startswith("runs:/"):
            return _parse_run(text)
        if text.startswith("models:/"):
            return _parse_mlflow(text)
        return _parse_native(text, now)
    except InvalidReference:
        raise
    except LastgoodError as error:
        raise InvalidReference(
            f"'{printable(text)}' is not a reference: {error.message}", hint=_EXAMPLES
        ) from error


def _parse_native(text: str, now: Instant) -> Reference:
    if moment := _AT.match(text):
        model, _, ref = moment["ref"].rpartition("@")
        if not model:
            model, ref = moment["ref"], DEFAULT_ENVIRONMENT
        return ByRef(
            parse_model_name(model), parse_ref_name(ref), at=parse_instant(moment["at"], now=now)
        )
    model, at, selector = text.rpartition("@")
    if not at:
        return _parse_number_or_default(text)
    if selector.startswith("sha256:"):
        if not _SHORT_DIGEST.match(selector) or len(selector) < len("sha256:") + DIGEST_PREFIX_MIN:
            raise InvalidReference(
                f"'{printable(text)}': a digest needs at least {DIGEST_PREFIX_MIN} and at most 64 hexadecimal digits",
                hint=_EXAMPLES,
            )
        return ByDigest(parse_model_name(model), selector)
    if back := _BACK.match(selector):
        return ByRef(
            parse_model_name(model), parse_ref_name(back["ref"]), back=_steps(back["back"])
        )
    return ByRef(parse_model_name(model), parse_ref_name(selector))


def _parse_number_or_default(text: str) -> Reference:
    model, slash, number = text.rpartition("/")
    if slash:
        return ByNumber(parse_model_name(model), parse_version_number(number))
    if back := _BACK.match(text):
        return ByRef(parse_model_name(back["ref"]), DEFAULT_ENVIRONMENT, back=_steps(back["back"]))
    return ByRef(parse_model_name(text), DEFAULT_ENVIRONMENT)


def _parse_mlflow(text: str) -> Reference:
    rest = text.removeprefix("models:/").strip("/")
    model, slash, selector = rest.rpartition("/")
    if slash:
        name = parse_model_name(model)
        if selector.isdigit():
            return ByNumber(name, parse_version_number(selector))
        if selector.lower() == "latest":
            return Latest(name)
        ref = ref_of_stage(stage_named(selector))
        if ref is None:
            raise InvalidReference(
                f"'{printable(text)}': only Production and Staging name one version", hint=_EXAMPLES
            )
        return ByRef(name, ref)
    model, at, alias = rest.rpartition("@")
    if not at:
        raise InvalidReference(
            f"'{printable(text)}' names a model, not a version",
            hint="models:/churn/4 or models:/churn@champion",
        )
    return ByRef(parse_model_name(model), parse_ref_name(alias))


def _parse_run(text: str) -> ByRun:
    run, _, path = text.removeprefix("runs:/").partition("/")
    if not re.fullmatch(r"[0-9a-zA-Z_-]{1,64}", run) or not path.strip("/"):
        raise InvalidReference(
            f"'{printable(text)}' is not of the form runs:/<run id>/<path>", hint=_EXAMPLES
        )
    return ByRun(RunId(run), path.strip("/"))


def _steps(digits: str) -> int:
    if int(digits) > STEPS_BACK_MAX:
        raise InvalidReference(f"'~{digits}' goes further back than {STEPS_BACK_MAX} moves")
    return int(digits)


def parse_instant(text: str, *, now: Instant) -> Instant:
    """A moment: ISO 8601 (without an offset: the local time of this machine) or ``5m ago``.

    Raises:
        InvalidReference: the text is neither.
    """
    if relative := _RELATIVE.match(text.strip()):
        return Instant(now - int(relative["n"]) * _UNIT_MS[relative["unit"]])
    try:
        moment = datetime.fromisoformat(text.strip())
        return Instant(round(moment.astimezone(UTC).timestamp() * 1000))
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidReference(
            f"'{printable(text)}' is not a moment",
            hint="write 2026-11-02T09:30, 2026-11-02T09:30:00Z or 5m",
        ) from error
