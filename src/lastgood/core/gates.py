"""Gates as a policy writes them: what is required, as data. The rules that judge them are in `policy`."""

import math

import msgspec

from lastgood.core.durations import parse_duration_s
from lastgood.core.ids import printable
from lastgood.core.reproducibility import ITEMS
from lastgood.core.suggestions import suggestion

__all__ = [
    "AllOfSpec",
    "AnyOfSpec",
    "BetterThanLiveSpec",
    "BudgetSpec",
    "CameThroughSpec",
    "CommandSpec",
    "EvidenceSpec",
    "GateSpec",
    "GoldenSpec",
    "MetricSpec",
    "ReproducibleSpec",
    "SignatureSpec",
    "TagsSpec",
    "gate_name",
]

COMMAND_TIMEOUT_S_MAX = 3600


class _Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every gate has."""

    name: str = ""
    """What messages call it; else made from what it requires."""


class MetricSpec(_Spec, tag="metric", tag_field="type", frozen=True):
    """A metric of the version lies within bounds."""

    metric: str
    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        """Refuse a gate that could never say anything."""
        given = [bound for bound in (self.min, self.max) if bound is not None]
        if not given or not all(math.isfinite(bound) for bound in given):
            raise ValueError("a metric gate needs min or max, and both must be numbers")


class BetterThanLiveSpec(_Spec, tag="better_than_live", tag_field="type", frozen=True):
    """Better than what is live, on the same metric and the same dataset."""

    metric: str
    margin: float = 0.0
    higher_is_better: bool = True
    data: str = ""
    """The name of the dataset that both must have been measured on; empty: all datasets must be the same."""
    rows: str = ""
    """A CSV file among the model's files with one result per row; the difference is then tested."""
    column: str = "correct"
    """The column of that file."""
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Refuse bounds that make no sense."""
        if not math.isfinite(self.margin) or self.margin < 0:
            raise ValueError("margin must be a number from 0 up")
        if not 0.5 < self.confidence < 1:
            raise ValueError("confidence must lie between 0.5 and 1")


class SignatureSpec(_Spec, tag="signature", tag_field="type", frozen=True):
    """Callers of the live version can go on as they do: its inputs are still accepted."""


class EvidenceSpec(_Spec, tag="evidence", tag_field="type", frozen=True):
    """Recorded evidence of that name says pass, for example `load_test` or `reproduced`."""

    evidence: str


class GoldenSpec(_Spec, tag="golden", tag_field="type", frozen=True):
    """Loaded and asked again where the command line is called, it still gives its golden answers."""


class ReproducibleSpec(_Spec, tag="reproducible", tag_field="type", frozen=True):
    """Nothing of what it takes to make the version again is missing."""

    items: tuple[str, ...] = ()
    """Which of `core.reproducibility.ITEMS` must be there; empty: all of them."""

    def __post_init__(self) -> None:
        """Refuse an item that nothing could ever fulfil."""
        for item in self.items:
            if item not in ITEMS:
                raise ValueError(
                    f"'{printable(item)}' is no item of reproducibility{suggestion(item, ITEMS)}; "
                    f"there are {', '.join(ITEMS)}"
                )


class BudgetSpec(_Spec, tag="budget", tag_field="type", frozen=True):
    """A figure of recorded evidence stays within its budget, for example the latency of the load test."""

    figure: str
    max: float
    evidence: str = "load_test"


class TagsSpec(_Spec, tag="tags", tag_field="type", frozen=True):
    """The version has these tags; a value, where one is given, must be equal."""

    required: tuple[str, ...] = ()
    equal: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Refuse a gate that requires nothing."""
        if not self.required and not self.equal:
            raise ValueError("a tags gate needs required or equal")


class CameThroughSpec(_Spec, tag="came_through", tag_field="type", frozen=True):
    """It was in an earlier environment for that long and answered that many requests there."""

    environment: str = ""
    """Empty: the one before in the order of the policy."""
    stayed: str = "0s"
    requests: int = 0

    def __post_init__(self) -> None:
        """Refuse a span that is none."""
        parse_duration_s(self.stayed)


class CommandSpec(_Spec, tag="command", tag_field="type", frozen=True):
    """The operator's own program, run by the command line where it is called and never by the server.

    Exit code 0 is pass, 1 is fail, anything else is unknown.
    """

    command: tuple[str, ...]
    timeout_s: int = 300

    def __post_init__(self) -> None:
        """A verdict without a name could not be found again; a program needs a bound."""
        if not self.name:
            raise ValueError("a command gate needs a name")
        if not self.command or not 1 <= self.timeout_s <= COMMAND_TIMEOUT_S_MAX:
            raise ValueError(
                f"a command gate needs a command and a timeout_s from 1 to {COMMAND_TIMEOUT_S_MAX}"
            )


class AllOfSpec(_Spec, tag="all_of", tag_field="type", frozen=True):
    """All of these gates."""

    gates: tuple["GateSpec", ...]

    def __post_init__(self) -> None:
        """Without parts it would let everything through."""
        if not self.gates:
            raise ValueError("all_of needs gates")


class AnyOfSpec(_Spec, tag="any_of", tag_field="type", frozen=True):
    """At least one of these gates."""

    gates: tuple["GateSpec", ...]

    def __post_init__(self) -> None:
        """Without parts nothing could ever pass."""
        if not self.gates:
            raise ValueError("any_of needs gates")


GateSpec = (
    MetricSpec
    | BetterThanLiveSpec
    | SignatureSpec
    | EvidenceSpec
    | GoldenSpec
    | ReproducibleSpec
    | BudgetSpec
    | TagsSpec
    | CameThroughSpec
    | CommandSpec
    | AllOfSpec
    | AnyOfSpec
)


def gate_name(spec: GateSpec) -> str:  # noqa: PLR0911  # one case per kind of gate
    """What messages call the gate."""
    if spec.name:
        return spec.name
    match spec:
        case MetricSpec(metric=metric):
            return f"metric {metric}"
        case BetterThanLiveSpec(metric=metric):
            return f"better than live on {metric}"
        case EvidenceSpec(evidence=evidence):
            return f"evidence {evidence}"
        case GoldenSpec():
            return "golden answers"
        case BudgetSpec(figure=figure):
            return f"budget of {figure}"
        case _:
            return str(type(spec).__struct_config__.tag).replace("_", " ")
