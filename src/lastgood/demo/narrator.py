"""How the story reads: chapters, steps with progress, commands with their output, figures."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.bar import Bar
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

__all__ = ["COLUMNS_MAX", "INDENT", "Narrator"]

COLUMNS_MAX = 100
"""Prose that runs wider than this is hard to read."""
INDENT = 4
PROGRESS_PER_SECOND = 5
BAR_WIDTH = 28


class Narrator:
    """Tells the story on a console; in a pipe the same words, without colour or movement."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.columns = min(console.width, COLUMNS_MAX) if console.is_terminal else COLUMNS_MAX
        self.colour = console.is_terminal and not console.no_color

    def title(self, words: str, story: str) -> None:
        """How it begins."""
        body = Text(story)
        self._console.print(
            Panel(
                body,
                title=Text(words, style="bold"),
                title_align="left",
                border_style="cyan",
                box=box.ROUNDED,
                width=self.columns,
                padding=(0, 1),
            )
        )

    def chapter(self, number: int, words: str) -> None:
        """The next part."""
        self._console.print()
        self._console.print(
            Text.assemble((f" {number} ", "bold reverse cyan"), " ", (words, "bold"))
        )

    def say(self, *parts: str | tuple[str, str]) -> None:
        """A sentence or two."""
        self._show(Text.assemble(*parts), indent=INDENT)

    def note(self, words: str) -> None:
        """An explanation, less prominent."""
        self._show(Text(words, style="dim"), indent=INDENT)

    def done(self, *parts: str | tuple[str, str]) -> None:
        """A step that is over, and what it came to."""
        grid = Table.grid(padding=(0, 1))
        grid.add_row(Text("✓", style="bold green"), Text.assemble(*parts))
        self._show(grid, indent=INDENT - 2)

    def asks(self, question: str) -> None:
        """A question that somebody asks."""
        self._console.print()
        self._show(Text(question, style="bold"), indent=INDENT)

    def command(self, arguments: Sequence[str], output: str = "") -> None:
        """A command as the user types it, and its output."""
        typed = Text.assemble(("$ ", "dim"), ("lastgood " + quoted(arguments), "bold cyan"))
        self._show(typed, indent=INDENT)
        for line in output.strip("\n").splitlines():
            for piece in self._folded(Text.from_ansi(line)):
                self._show(piece, indent=INDENT) if piece.plain.strip() else self.blank()

    @contextmanager
    def doing(self, words: str, *, state: Callable[[], str] = str) -> Iterator[None]:
        """Show that a step is under way; `state` says how far it is, several times a second."""
        progress = Progress(
            TextColumn(" " * (INDENT - 3)),
            SpinnerColumn(style="cyan"),
            TextColumn("{task.description}"),
            _StateColumn(state),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
            refresh_per_second=PROGRESS_PER_SECOND,
        )
        with progress:
            progress.add_task(words, total=None)
            yield

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A small table; columns whose name begins with ``>`` are numbers."""
        made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
        for column in columns:
            made.add_column(
                column.lstrip(">"), justify="right" if column.startswith(">") else "left"
            )
        for row in rows:
            made.add_row(*row)
        self._show(made, indent=INDENT)

    def shares(self, rows: Sequence[tuple[str, float | None, int, bool]]) -> None:
        """Bars: what each version said of its customers (name, share, answers, whether alarming)."""
        grid = Table.grid(padding=(0, 2))
        for name, share, answers, alarming in rows:
            colour = "red" if alarming else "green"
            bar = Bar(size=1.0, begin=0.0, end=share or 0.0, width=BAR_WIDTH, color=colour)
            said = Text("unknown" if share is None else f"{share:4.0%}", style=f"bold {colour}")
            grid.add_row(name, bar, said, Text(f"of {answers:,} customers", style="dim"))
        self._show(grid, indent=INDENT)

    def figures(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names and values, the values in bold."""
        grid = Table.grid(padding=(0, 2))
        for name, value in rows:
            grid.add_row(name, Text(value, style="bold"))
        self._show(grid, indent=INDENT)

    def verdicts(self, rows: Sequence[tuple[str, bool, str]]) -> None:
        """Promises: name, whether kept, what was seen."""
        grid = Table.grid(padding=(0, 2), expand=False)
        grid.add_column()
        grid.add_column(ratio=1)
        grid.add_column(justify="right")
        for name, kept, seen in rows:
            sign = Text("✓", style="bold green") if kept else Text("✗ BROKEN", style="bold red")
            grid.add_row(sign, name, Text(seen, style="dim" if kept else "bold red"))
        self._show(grid, indent=INDENT - 2)

    def blank(self) -> None:
        """An empty line."""
        self._console.print()

    def _folded(self, line: Text) -> Sequence[Text]:
        """A line with a long word, such as a digest, folded as a terminal does; others wrap between words."""
        width = self.columns - INDENT
        long = max(map(len, line.plain.split()), default=0) > width // 2
        if not long or line.cell_len <= width or not self._console.is_terminal:
            return (line,)
        return tuple(line.divide(range(width, len(line), width)))

    def _show(self, what: Text | Table, *, indent: int) -> None:
        width = self.columns
        if isinstance(what, Text) and not self._console.is_terminal:
            # In a pipe nothing is folded: lines stay whole for whoever searches them.
            for line in what.split("\n"):
                self._console.print(Text(" " * indent).append_text(line), soft_wrap=True)
            return
        self._console.print(Padding(what, (0, 0, 0, indent), expand=False), width=width)


class _StateColumn(TextColumn):
    """Asks for the state each time it is drawn."""

    def __init__(self, state: Callable[[], str]) -> None:
        super().__init__("")
        self._state = state

    def render(self, task: object) -> Text:
        """The state now."""
        del task
        return Text(self._state(), style="dim")


def quoted(arguments: Sequence[str]) -> str:
    """The arguments as they are typed into a shell, with the double quotes people use."""
    return " ".join(f'"{a}"' if " " in a and '"' not in a else shlex.quote(a) for a in arguments)
