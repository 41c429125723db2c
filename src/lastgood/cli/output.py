"""How answers look: tables and colours on a terminal, plain text in a pipe, JSON on request.

Text from the registry was written by anybody: control characters in it are shown, never obeyed.
"""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lastgood.core.ids import Instant
from lastgood.errors import LastgoodError

__all__ = [
    "Output",
    "age",
    "bytes_of",
    "clean",
    "error_value",
    "moment",
    "print_error",
    "span",
    "styled",
    "text",
    "with_times",
]

PIPE_WIDTH = 10_000  # nothing is cut or folded where no human reads
DURATIONS = frozenset({"active_ms"})
"""Fields that hold a span of time; all other `*_ms` are moments."""

GIVEN_NAMES = frozenset({"metrics", "params", "tags"})
"""Fields whose keys were chosen by users: a metric `latency_ms` is no moment."""

COPIED = frozenset({"digest", "head", "next", "operation", "undo"})
"""Facts that people copy from the screen."""

_SPANS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))


class Output:
    """One command's answer.

    Args:
        as_json: Print `json` documents; everything else is left out.
        now: What ages are counted from.
    """

    def __init__(self, *, as_json: bool, now: Instant) -> None:
        self.as_json = as_json
        self.now = now
        self._console = _console(sys.stdout)

    def json(self, value: Any) -> None:
        """The answer as JSON, with an ISO time beside every moment."""
        document = with_times(msgspec.to_builtins(value))
        sys.stdout.write(
            msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
        )

    def line(self, *parts: str | Text) -> None:
        """A line of text; long ones are folded on a terminal."""
        self._console.print(text(*parts), soft_wrap=not self._console.is_terminal)

    def indented(self, *parts: str | Text) -> None:
        """A line that belongs to the one above; its continuation lines are indented too."""
        self.show(Padding(text(*parts), (0, 0, 0, 2), expand=False))

    def show(self, *parts: RenderableType) -> None:
        """Anything Rich can draw."""
        if self._console.is_terminal:
            self._console.print(Group(*parts))
            return
        with self._console.capture() as captured:
            self._console.print(Group(*parts))
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, indent: int = 0
    ) -> None:
        """A table. A column named ``>NAME`` is aligned to the right; ``!NAME`` is never folded."""
        cells = list(rows)
        # Rich measures a column without any text too narrow, and folds its neighbours for it.
        kept = [i for i, name in enumerate(columns) if name or any(row[i] for row in cells)]
        made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        for column in (columns[i] for i in kept):
            name = column.strip(">!")
            made.add_column(
                name,
                justify="right" if ">" in column else "left",
                overflow="fold",
                no_wrap="!" in column,
            )
        for row in cells:
            made.add_row(*(text(row[i]) for i in kept))
        self.show(Padding(made, (0, 0, 0, indent), expand=False))

    def facts(self, facts: Iterable[tuple[str, str | Text]], *, indent: int = 0) -> None:
        """Names and values below each other; those without a value are left out.

        What people copy is handed to the terminal in one piece; everything else is folded at words.
        """
        shown = [(name, text(value)) for name, value in facts if value]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            label = styled(" " * indent + name.ljust(width) + "  ", "dim")
            if name in COPIED:
                self._console.print(text(label, value), soft_wrap=True)
                continue
            row = Table.grid()
            row.add_column(width=len(label), no_wrap=True)
            row.add_column(overflow="fold")
            row.add_row(label, value)
            self.show(row)

    def ago(self, at: Instant) -> str:
        """How long ago that was."""
        return age(at, now=self.now)


def _console(file: Any) -> Console:
    console = Console(file=file, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def text(*parts: str | Text) -> Text:
    """The parts as one text; plain strings are cleaned."""
    joined = Text()
    for part in parts:
        joined.append_text(part) if isinstance(part, Text) else joined.append(clean(part))
    return joined


def clean(value: str) -> str:
    """The text with control characters written out, so that a terminal shows and does not obey them."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in value
    )


def styled(value: str, style: str) -> Text:
    """Cleaned text in a style."""
    return Text(clean(value), style=style)


def span(milliseconds: int) -> str:
    """A span of time in at most two units."""
    if milliseconds < 1000:
        return f"{max(milliseconds, 0)} ms"
    for index, (unit, name) in enumerate(_SPANS):
        if milliseconds >= unit:
            whole, rest = divmod(milliseconds, unit)
            smaller = _SPANS[index + 1] if index + 1 < len(_SPANS) else None
            part = rest // smaller[0] if smaller and whole < 10 else 0
            return f"{whole} {name} {part} {smaller[1]}" if smaller and part else f"{whole} {name}"
    return "0 ms"


def age(at: Instant, *, now: Instant) -> str:
    """How long ago a moment was; clocks of several machines may differ a little."""
    passed = now - at
    if passed < 1000:
        return "just now" if passed > -5000 else f"in {span(-passed)}"
    return f"{span(passed)} ago"


def moment(at: Instant) -> str:
    """The moment in this machine's time zone, to the second."""
    return datetime.fromtimestamp(at / 1000, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def bytes_of(size: int) -> str:
    """A size in the unit that suits it."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def with_times(value: Any) -> Any:
    """The same document with an ISO 8601 time beside every moment: ``at_ms`` gets ``at``."""
    if isinstance(value, list | tuple):
        return [with_times(item) for item in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for name, item in value.items():
        found[name] = item if name in GIVEN_NAMES else with_times(item)
        if (
            isinstance(name, str)
            and name.endswith("_ms")
            and name not in DURATIONS
            and isinstance(item, int)
        ):
            found[name.removesuffix("_ms")] = _iso(item)
    return found


def _iso(at_ms: int) -> str:
    return (
        datetime.fromtimestamp(at_ms / 1000, tz=UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def error_value(error: LastgoodError, *, kind: str = "", code: int | None = None) -> dict[str, Any]:
    """The error as JSON shows it; the native API has the same shape."""
    return {
        "kind": kind or type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "exit_code": error.exit_code if code is None else code,
    }


def print_error(
    error: LastgoodError, *, as_json: bool, kind: str = "", code: int | None = None
) -> None:
    """Say what was wrong and what to do: on stderr; with `--json` also as the one document on stdout."""
    if as_json:
        document = {"error": error_value(error, kind=kind, code=code)}
        sys.stdout.write(
            msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
        )
    console = _console(sys.stderr)
    # In one piece: what is said here is often a command to copy.
    console.print(text(styled("error: ", "bold red"), error.message), soft_wrap=True)
    if error.hint:
        console.print(text(styled("hint: ", "cyan"), error.hint), soft_wrap=True)
