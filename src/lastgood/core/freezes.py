"""Freeze windows: times in which nothing is promoted. Rolling back is always possible."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from lastgood.core.ids import Instant

__all__ = ["FreezeWindow", "frozen_by"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKLY = re.compile(
    r"(?P<a>[a-z]{3}) (?P<ah>[01][0-9]|2[0-3]):(?P<am>[0-5][0-9]) - (?P<b>[a-z]{3}) (?P<bh>[01][0-9]|2[0-3]):(?P<bm>[0-5][0-9])\Z"
)


class FreezeWindow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either once, from one local time to another, or every week, as ``fri 16:00 - mon 08:00``."""

    begin: str = msgspec.field(name="from", default="")
    end: str = msgspec.field(name="to", default="")
    weekly: str = ""
    timezone: str = "UTC"
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse a window that could never apply, or not as meant."""
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise ValueError(
                f"'{self.timezone}' is not a time zone; write for example Europe/Berlin"
            ) from None
        if bool(self.weekly) == bool(self.begin or self.end):
            raise ValueError("a freeze needs either weekly, or from and to")
        if self.weekly:
            _weekly_minutes(self.weekly)
        elif not _local(self.begin) < _local(self.end):
            raise ValueError("the freeze ends before it begins")

    def holds_at(self, at: Instant) -> bool:
        """Whether that moment lies in the window."""
        zone = ZoneInfo(self.timezone)
        if not self.weekly:
            begin, end = (
                _local(text).replace(tzinfo=zone).timestamp() * 1000
                for text in (self.begin, self.end)
            )
            return bool(begin <= at < end)
        moment = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone)
        minute = moment.weekday() * 1440 + moment.hour * 60 + moment.minute
        first, last = _weekly_minutes(self.weekly)
        return first <= minute < last if first < last else minute >= first or minute < last

    @property
    def words(self) -> str:
        """The window as people read it."""
        when = self.weekly or f"{self.begin} to {self.end}"
        return f"{when} {self.timezone}" + (f" ({self.reason})" if self.reason else "")


def frozen_by(windows: tuple[FreezeWindow, ...], at: Instant) -> FreezeWindow | None:
    """The first window that the moment lies in."""
    return next((window for window in windows if window.holds_at(at)), None)


def _local(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text[:40]}' is not a time; write 2026-12-20T18:00") from None
    if moment.tzinfo is not None:
        raise ValueError(f"'{text[:40]}': give the zone as timezone, not in the time")
    return moment


def _weekly_minutes(text: str) -> tuple[int, int]:
    found = _WEEKLY.match(text.lower())
    if found is None or found["a"] not in DAYS or found["b"] not in DAYS:
        raise ValueError(f"'{text[:40]}' is not a weekly window; write fri 16:00 - mon 08:00")
    first, last = (
        DAYS.index(found[day]) * 1440 + int(found[hour]) * 60 + int(found[minute])
        for day, hour, minute in (("a", "ah", "am"), ("b", "bh", "bm"))
    )
    if first == last:
        raise ValueError(f"'{text[:40]}' is not a weekly window; write fri 16:00 - mon 08:00")
    return first, last
