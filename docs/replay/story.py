"""From a page to the same page with what its commands print now."""

import re
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from replay.page import Command, Console, File, Fresh, Hidden, Part, parse, render
from replay.shell import Shell

__all__ = ["normalised", "replay"]

Tell = Callable[[str], None]
_VARIES = (
    (re.compile(r"op-[0-9a-f]{4,}"), "op-1"),
    (re.compile(r"\b[0-9a-f]{12,}\b"), "digest"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "then"),
    (re.compile(r"just now|\d+ (?:ms|s|min|h|d) ago"), "ago"),
    (re.compile(r"\bby (\w+) on [\w.-]+"), r"by \1 on a machine"),
)


def normalised(text: str) -> str:
    """Output without what differs from run to run: ids, digests, moments, ages, the machine, and how that folds lines."""
    text = " ".join(text.split())
    for pattern, same in _VARIES:
        text = pattern.sub(same, text)
    return text


def replay(page: str, *, tell: Tell = lambda line: print(line, file=sys.stderr)) -> str:  # noqa: T201
    """Run every command of the page, in order; returns the page with their output.

    Output in which only ids, digests, moments and the like would change stays as it is.

    Args:
        page: Markdown, see `replay.page`.
        tell: Told each command before it runs, and then what it printed.

    Raises:
        AssertionError: a command ended otherwise, or said otherwise, than the page expects.
    """
    done: list[Part] = []
    with ExitStack() as stack:
        shell: Shell | None = None
        for part in parse(page):
            match part:
                case Fresh():
                    stack.close()
                    shell = stack.enter_context(Shell())
                case File(path=path, text=text) if shell is not None:
                    shell.write(path, text)
                case Console(commands) if shell is not None:
                    part = Console(tuple(_run(shell, command, tell) for command in commands))  # noqa: PLW2901
                case Hidden(commands) if shell is not None:
                    for command in commands:
                        _run(shell, command, tell)
                case _:
                    pass
            done.append(part)
    return render(tuple(done))


def _run(shell: Shell, command: Command, tell: Tell) -> Command:
    tell(f"$ {command.text}")
    code, output = shell.run(command.text)
    tell(output)
    expected = command.expected
    if code != expected.code:
        raise AssertionError(f"`{command.text}` ended with {code}, not {expected.code}:\n{output}")
    for words in expected.says:
        # Long lines are folded at 100 columns.
        if " ".join(words.split()) not in " ".join(output.split()):
            raise AssertionError(f"`{command.text}` does not say “{words}”:\n{output}")
    same = normalised(output) == normalised(command.output)
    return command if same else replace(command, output=output)
