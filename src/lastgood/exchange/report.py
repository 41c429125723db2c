"""What an exchange did, and whether both sides say the same afterwards."""

from dataclasses import dataclass, field
from typing import Protocol

from lastgood.core.ids import Digest, digest_of_hex, hex_of

__all__ = [
    "Comparison",
    "Difference",
    "KindReport",
    "Problem",
    "Progress",
    "Report",
    "Silent",
]

DIFFERENCES_KEPT_MAX = 1000
PROBLEMS_KEPT_MAX = 1000
_DIGESTS = 2**256


class Progress(Protocol):
    """Told what an exchange is doing."""

    def step(self, name: str) -> None:
        """Another step begins."""
        ...

    def advance(self, count: int = 1) -> None:
        """So many more things of the step are done."""
        ...


class Silent:
    """Tells nobody."""

    def step(self, name: str) -> None:
        """See `Progress`."""

    def advance(self, count: int = 1) -> None:
        """See `Progress`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that was not brought over."""

    subject: str
    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that both sides do not say the same of."""

    kind: str
    subject: str
    missing: bool
    """It is not there at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KindReport:
    """One kind of things, compared. The digests are over all of them, in any order."""

    kind: str
    count: int
    same: int
    digest_there: Digest
    digest_here: Digest
    new: int = 0
    """How many this run brought over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole exchange."""

    address: str
    seconds: float
    kinds: tuple[KindReport, ...]
    points: int
    """In the histories of metrics."""
    bytes_sent: int
    problems: tuple[Problem, ...] = ()
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything is there and says the same."""
        return not self.problems and all(kind.same == kind.count for kind in self.kinds)


@dataclass(slots=True)
class _Kind:
    count: int = 0
    same: int = 0
    there: int = 0
    here: int = 0


@dataclass(slots=True)
class Comparison:
    """Collects pairs of digests."""

    kinds: dict[str, _Kind] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    def add(self, kind: str, subject: str, *, there: Digest, here: Digest) -> None:
        """One thing, as it is there (in MLflow) and here. An empty digest: nothing."""
        tally = self.kinds.setdefault(kind, _Kind())
        tally.count += 1
        tally.there = (tally.there + _number(there)) % _DIGESTS
        tally.here = (tally.here + _number(here)) % _DIGESTS
        if there == here:
            tally.same += 1
        elif len(self.differences) < DIFFERENCES_KEPT_MAX:
            self.differences.append(Difference(kind=kind, subject=subject, missing=not here))

    def reports(self, new: dict[str, int]) -> tuple[KindReport, ...]:
        """All kinds, in the order in which they first came."""
        return tuple(
            KindReport(
                kind=name,
                count=tally.count,
                same=tally.same,
                digest_there=digest_of_hex(f"{tally.there:064x}"),
                digest_here=digest_of_hex(f"{tally.here:064x}"),
                new=new.get(name, 0),
            )
            for name, tally in self.kinds.items()
        )


def _number(digest: Digest) -> int:
    return int(hex_of(digest), 16) if digest else 0
