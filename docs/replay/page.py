"""A page as Markdown with commands in it: what to run, what must come out, and where it is written down.

A page says what is to be done in the page itself:

- `<!-- replay: fresh directory -->` begins a story of its own, in an empty directory.
- A code block with a title is a file of that name.
- In a `console` block each line that begins with `$ ` is a command; everything else is output.
- A comment `<!-- replay ... -->` before such a block tells how its commands end: a line for each, with the exit
  code and words that its output must contain. Without one all commands end with 0.
- A comment `<!-- replay: hidden ... -->` holds commands, a line for each, that readers do not see.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "Command",
    "Console",
    "Expected",
    "File",
    "Fresh",
    "Hidden",
    "Part",
    "Prose",
    "parse",
    "render",
]

FRESH = "<!-- replay: fresh directory -->"
EXPECTATIONS = "<!-- replay"
HIDDEN = "<!-- replay: hidden"
END_OF_COMMENT = "-->"
SEPARATOR = " | "
PROMPT = "$ "
FENCE = "```"
_FILE = re.compile(r'```\w+ title="(?P<path>[\w./-]+)"\Z')


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How a command has to end."""

    code: int = 0
    says: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command as it is typed, how it has to end, and what it printed when the page was written."""

    text: str
    expected: Expected
    output: str = ""


@dataclass(frozen=True, slots=True)
class Hidden:
    """Commands that are run and not shown; each has to end with 0."""

    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Prose:
    """Lines that stay as they are."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fresh:
    """From here on in an empty directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that the reader writes."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Console:
    """Commands with their output."""

    commands: tuple[Command, ...]


Part = Prose | Fresh | File | Console | Hidden


def parse(page: str) -> tuple[Part, ...]:
    """The parts of a page; files and console blocks follow the prose that shows or announces them.

    Raises:
        ValueError: a block does not end, or its expectations do not fit its commands.
    """
    return tuple(_parts(page.splitlines()))


def _parts(lines: list[str]) -> Iterator[Part]:
    prose: list[str] = []
    expected: tuple[Expected, ...] | None = None
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if line == FRESH:
            yield Prose((*prose, line))
            yield Fresh()
            prose = []
        elif line == HIDDEN:
            end = lines.index(END_OF_COMMENT, position)
            commands = tuple(Command(text=t, expected=Expected()) for t in lines[position:end])
            yield Prose((*prose, line, *lines[position : end + 1]))
            yield Hidden(commands)
            prose, position = [], end + 1
        elif line == EXPECTATIONS:
            end = lines.index(END_OF_COMMENT, position)
            expected = tuple(map(_expected, lines[position:end]))
            prose += [line, *lines[position : end + 1]]
            position = end + 1
        elif line == f"{FENCE}console":
            end = lines.index(FENCE, position)
            yield Prose((*prose, line))
            yield Console(_commands(lines[position:end], expected))
            prose, expected, position = [FENCE], None, end + 1
        else:
            if found := _FILE.match(line):
                end = lines.index(FENCE, position)
                text = "".join(f"{one}\n" for one in lines[position:end])
                yield File(path=found["path"], text=text)
            prose.append(line)
    yield Prose(tuple(prose))


def _expected(line: str) -> Expected:
    code, *says = line.split(SEPARATOR)
    return Expected(code=int(code), says=tuple(says))


def _commands(lines: list[str], expected: tuple[Expected, ...] | None) -> tuple[Command, ...]:
    typed: list[list[str]] = []
    printed: list[list[str]] = []
    continued = False
    for line in lines:
        if continued:
            typed[-1].append(line)
        elif line.startswith(PROMPT):
            typed.append([line.removeprefix(PROMPT)])
            printed.append([])
        else:
            printed[-1].append(line)
            continue
        continued = line.endswith("\\")
    if expected is None:
        expected = (Expected(),) * len(typed)
    if len(expected) != len(typed):
        raise ValueError(
            f"{len(typed)} commands with {len(expected)} expectations: {typed[:1]} ..."
        )
    return tuple(
        Command(text="\n".join(text), expected=how, output="\n".join(output))
        for text, how, output in zip(typed, expected, printed, strict=True)
    )


def render(parts: tuple[Part, ...]) -> str:
    """The page again, with the output of its commands."""
    return "\n".join(line for part in parts for line in _lines(part)) + "\n"


def _lines(part: Part) -> Iterator[str]:
    match part:
        case Prose(lines):
            yield from lines
        case Console(commands):
            for command in commands:
                yield f"{PROMPT}{command.text}"
                yield from command.output.splitlines()
        case _:  # a file stands in the prose already
            pass
