"""The edge of the process: runs a command and turns whatever happens into words and an exit code."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer

from lastgood.cli.app import root_command
from lastgood.core.ids import printable
from lastgood.errors import InvalidInput, LastgoodError

__all__ = ["run"]

INTERRUPTED = 130


def run(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code, which is that of the error's class."""
    as_json = "--json" in arguments
    try:
        _check_text(arguments)
        code: Any = root_command().main(
            args=list(arguments), prog_name="lastgood", standalone_mode=False
        )
    except LastgoodError as error:
        return _failed(error, as_json=as_json)
    except typer.TyperException as error:
        return _misused(error, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted. Python must not complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        # The last edge: nobody should have to read a traceback, and nobody must be kept from one.
        if os.environ.get("LASTGOOD_DEBUG"):
            traceback.print_exc()
        return _failed(
            LastgoodError(
                f"Something unexpected failed: {type(error).__name__}: {error}",
                hint="LASTGOOD_DEBUG=1 shows where; please report it",
            ),
            as_json=as_json,
        )
    return code if isinstance(code, int) else 0


def _check_text(arguments: Sequence[str]) -> None:
    for position, argument in enumerate(arguments, start=1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise InvalidInput(
                f"Argument {position} is not UTF-8 text: {printable(argument)}"
            ) from None


def _failed(error: LastgoodError, *, as_json: bool) -> int:
    from lastgood.cli.output import print_error

    print_error(error, as_json=as_json)
    return error.exit_code


def _misused(error: typer.TyperException, *, as_json: bool) -> int:
    from lastgood.cli.output import print_error

    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return 2
    context = getattr(error, "ctx", None)
    hint = f"see: {context.command_path} --help" if context is not None else ""
    code = int(error.exit_code)
    print_error(
        LastgoodError(error.format_message().rstrip("."), hint=hint),
        as_json=as_json,
        kind="Usage",
        code=code,
    )
    return code
