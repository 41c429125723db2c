"""Policy as code: ``lastgood.toml``, typed. What cannot be right is refused, with what was probably meant."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import msgspec

from lastgood.core.approvals import ApprovalRule
from lastgood.core.durations import parse_duration_s
from lastgood.core.freezes import FreezeWindow
from lastgood.core.gates import GateSpec
from lastgood.core.ids import ModelName, RefName, parse_model_name, parse_ref_name, printable
from lastgood.core.suggestions import suggestion
from lastgood.errors import InvalidInput, LastgoodError, TooLarge

__all__ = ["ANYBODY", "NO_POLICY", "EnvironmentPolicy", "Policy", "parse_policy"]

POLICY_SIZE_MAX = 64 * 1024  # bytes; it is kept in the log as it was written
ANYBODY = "*"
HINT = "docs/how-to/policy.md lists all keys"


class EnvironmentPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of one environment."""

    gates: tuple[GateSpec, ...] = ()
    approvals: tuple[ApprovalRule, ...] = ()
    four_eyes: bool = True
    """Whether those who registered or promote the version cannot approve it themselves."""
    promote: tuple[str, ...] = (ANYBODY,)
    """Who may promote."""
    rollback: tuple[str, ...] = (ANYBODY,)
    """Who may roll back."""
    bake: str = "0s"
    """How long a version stays here before it may go to the next environment."""
    requests_min: int = 0
    """How many requests it answers here before it may go to the next environment."""
    protected: bool = False
    """Whether what is live or last good here cannot be deleted; production always is."""
    retention: str = "0s"
    """For how long what was live here cannot be deleted."""
    unknown: Literal["block", "allow"] = "block"
    """What missing evidence means."""
    first_promotion: Literal["absolute", "strict", "free"] = "absolute"
    """Into an empty environment: without the gates that compare with what is live; with them; without any."""
    mlflow: Literal["gated", "free"] = "gated"
    """Whether stage and alias calls of MLflow clients go through the gates."""
    freeze: tuple[FreezeWindow, ...] = ()

    def __post_init__(self) -> None:
        """Refuse spans that are none, and negative numbers."""
        parse_duration_s(self.bake)
        parse_duration_s(self.retention)
        if self.requests_min < 0:
            raise ValueError("requests_min must be 0 or more")

    @property
    def bake_s(self) -> int:
        """`bake` in seconds."""
        return parse_duration_s(self.bake)

    @property
    def retention_s(self) -> int:
        """`retention` in seconds."""
        return parse_duration_s(self.retention)


class _ModelPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    environments: dict[str, dict[str, Any]] = {}


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    environments: dict[str, EnvironmentPolicy]
    models: dict[str, _ModelPart] = {}
    apply: tuple[str, ...] = (ANYBODY,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules of a registry: environments in their order, and what some models have otherwise."""

    environments: Mapping[RefName, EnvironmentPolicy]
    models: Mapping[ModelName, Mapping[RefName, EnvironmentPolicy]] = field(default_factory=dict)
    apply: tuple[str, ...] = (ANYBODY,)
    """Who may put another policy in its place."""

    def of(self, model: ModelName, environment: RefName) -> EnvironmentPolicy | None:
        """The rules for that model in that environment; None if the policy does not name it."""
        return self.models.get(model, {}).get(environment) or self.environments.get(environment)

    def protects(self, model: ModelName, environment: RefName) -> bool:
        """Whether what is live there, of that model, may not be deleted."""
        rules = self.of(model, environment)
        return rules is not None and rules.protected

    def before(self, environment: RefName) -> RefName | None:
        """The environment that comes before in the order."""
        return next((a for a, b in pairwise(self.environments) if b == environment), None)


NO_POLICY = Policy(environments={})


def parse_policy(text: str) -> Policy:
    """Read a policy.

    Raises:
        InvalidInput: no TOML, an unknown key (the message says which was probably meant), or a value that
            cannot be right. TooLarge: more than 64 KiB.
    """
    if len(text.encode()) > POLICY_SIZE_MAX:
        raise TooLarge(f"A policy may have {POLICY_SIZE_MAX // 1024} KiB")
    try:
        raw = tomllib.loads(text)
        document = msgspec.convert(raw, _Document)
        environments = {parse_ref_name(n): e for n, e in document.environments.items()}
        models = {
            parse_model_name(name): dict(_overridden(name, part, raw["environments"]))
            for name, part in document.models.items()
        }
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise InvalidInput(
            f"The policy cannot be right: {_explained(str(error))}", hint=HINT
        ) from error
    except LastgoodError as error:
        raise InvalidInput(f"The policy cannot be right: {error.message}", hint=HINT) from error
    return Policy(environments=environments, models=models, apply=document.apply)


def _overridden(
    model: str, part: _ModelPart, base: dict[str, Any]
) -> Iterator[tuple[RefName, EnvironmentPolicy]]:
    """A model's rules: those of the registry, key by key replaced by its own."""
    for name, own in part.environments.items():
        if name not in base:
            raise InvalidInput(
                f"models.{printable(model)} names the environment '{printable(name)}', which the policy does not have"
                + suggestion(name, list(base))
            )
        try:
            rules = msgspec.convert({**base[name], **own}, EnvironmentPolicy)
        except msgspec.ValidationError as error:
            where = f"models.{model}.environments.{name}"
            raise msgspec.ValidationError(f"{error} (in {where})") from error
        yield parse_ref_name(name), rules


_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")
_BAD_TAG = re.compile(r"Invalid value '(?P<field>[^']*)'")


def _explained(message: str) -> str:
    if found := _UNKNOWN.search(message):
        return message + suggestion(found["field"], _known_keys())
    if found := _BAD_TAG.search(message):
        return message + suggestion(found["field"], _gate_types())
    return message


def _gate_types() -> list[str]:
    return [str(cls.__struct_config__.tag) for cls in GateSpec.__args__]


def _known_keys() -> list[str]:
    structs = (
        _Document, _ModelPart, EnvironmentPolicy, ApprovalRule, FreezeWindow, *GateSpec.__args__
    )  # fmt: skip
    return sorted({name for cls in structs for name in cls.__struct_encode_fields__})
