# ruff: noqa: INP001 - a script beside the pages it writes, not a package
"""Write docs/reference/cli.md from the commands themselves: ``python docs/generate_cli.py``."""

import inspect
import re
from pathlib import Path
from typing import Any

from lastgood.cli.app import VERBS, root_command

PAGE = Path(__file__).parent / "reference" / "cli.md"

INTRODUCTION = """\
<!-- Made by docs/generate_cli.py; do not edit. -->
# Command line

`lastgood` (short: `lg`) works on the data directory here, without any server, or on a registry behind a URL.
The verbs, their answers and their errors are the same either way.

## For every command

These may stand before or after the verb.

{common}

Versions are named by references: `churn` (what is live in production), `churn/4`, `churn@champion`,
`churn@production~1` (what was live before), `churn@production@{{2026-11-02T09:30}}` (what was live then),
`churn@sha256:ab12` (a unique beginning of the digest is enough), `models:/churn/4`, `models:/churn@champion`,
`runs:/<run id>/model`.

Every command that changes something prints the operation's id and the exact command that undoes it.

**JSON.** With `--json` a command prints exactly one JSON document on standard output. Moments are whole
milliseconds since 1970 in fields that end in `_ms`; beside each stands the same in ISO 8601 (`at_ms` and `at`).
An error is the document `{{"error": {{"kind", "message", "hint", "exit_code"}}}}`; the sentence is on standard error
either way.

**Exit codes.**

| code | meaning |
|---|---|
| 0 | done; for `diff`: the versions are the same |
| 1 | failed; for `diff`: the versions differ |
| 2 | wrong usage: what was given cannot be right |
| 3 | refused by a rule: a gate, a hold, nothing proved good, unverified |
| 4 | not found |
| 5 | conflict: the state moved since it was read, or the name is taken |
| 6 | bytes are not what their digest says |
| 7 | the gateways did not follow in time |
| 130 | interrupted |

**Environment.** `LASTGOOD_SERVER`, `LASTGOOD_HOME` and `LASTGOOD_ACTOR` stand in for `--server`, `--data` and
`--actor`; `LASTGOOD_CACHE` says where gateways keep their bundles; `NO_COLOR` turns colours off;
`LASTGOOD_DEBUG=1` shows where an unexpected failure comes from. A `--data` on the command line wins over a
`LASTGOOD_SERVER` in the environment.

**Completion.** `lastgood --install-completion` sets it up for your shell.
"""


def page() -> str:
    """The whole page."""
    root = root_command()
    common = [option for option in root.params if not option.expose_value and option.name in COMMON]
    parts = [INTRODUCTION.format(common=_options(common))]
    parts += [_verb(name, root.commands[name]) for name in VERBS]
    return "\n".join(parts)


COMMON = ("as_json", "server", "data", "actor")


def _verb(name: str, command: Any) -> str:
    own = [param for param in command.params if param.name not in COMMON and param.name != "help"]
    arguments = [param for param in own if param.param_type_name == "argument"]
    options = [param for param in own if param.param_type_name == "option"]
    usage = " ".join(
        [f"lastgood {name}", *map(_placeholder, arguments), *(["[OPTIONS]"] if options else [])]
    )
    parts = [f"## {name}", f"```\n{usage}\n```", _paragraphs(command.help or "")]
    if arguments:
        parts.append("\n".join(f"- `{_plain(param)}`: {_sentence(param)}" for param in arguments))
    if options:
        parts.append(_options(options))
    return "\n\n".join(parts) + "\n"


def _options(options: list[Any]) -> str:
    rows = ["| option | meaning |", "|---|---|"]
    for option in options:
        names = ", ".join(f"`{name}`" for name in option.opts)
        value = "" if option.is_flag else f" `{_plain(option)}`"
        rows.append(f"| {names}{value} | {_sentence(option)} |")
    return "\n".join(rows)


def _sentence(param: Any) -> str:
    words = (param.help or "").replace("|", "\\|")
    if (
        param.param_type_name == "option"
        and not param.is_flag
        and param.default not in {None, ""}
        and param.name not in COMMON
    ):
        words += f" Default: `{param.default}`."
    return words + (" Required." if param.required and param.param_type_name == "option" else "")


def _plain(param: Any) -> str:
    return (param.metavar or param.name.upper()).strip("[]{}")


def _placeholder(param: Any) -> str:
    return _plain(param) if param.required else f"[{_plain(param)}]"


def _paragraphs(text: str) -> str:
    return "\n\n".join(
        re.sub(r"\s+", " ", part).strip() for part in inspect.cleandoc(text).split("\n\n")
    )


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
