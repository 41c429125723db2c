"""Everything around the model's files that makes a version: code, data, environment, side files."""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lastgood.core.ids import Digest, digest_of_hex
from lastgood.core.manifest import Code, DataInput, Environment, FileEntry
from lastgood.sdk.git import CodeState, code_at
from lastgood.sdk.inputs import dvc_inputs, plain_inputs
from lastgood.sdk.installed import environment_now, fits
from lastgood.sdk.scan import HashedFile, find_files, hash_file

__all__ = ["Captured", "Surroundings", "capture", "this_program"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a person or a program says about where a model came from; the rest is looked for."""

    data: tuple[Path, ...] = ()
    """Files and directories that the training read."""
    keep_data: bool = False
    """Whether the registry keeps the bytes of `data`."""
    side: tuple[Path, ...] = ()
    """Reports, plots, notebooks: kept with the version, not part of the model."""
    entry_point: str = ""
    arguments: tuple[str, ...] = ()
    seeds: Mapping[str, str] = field(default_factory=dict)
    trained_here: bool | None = None
    """Whether this interpreter trained the model; None: if it has what the model's files pin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What was found, and the bytes that belong to it."""

    code: Code
    data: tuple[DataInput, ...]
    environment: Environment
    side: tuple[FileEntry, ...]
    files: tuple[HashedFile, ...] = ()
    blobs: Mapping[Digest, bytes] = field(default_factory=dict)


def capture(path: Path, around: Surroundings, *, declared: Environment) -> Captured:
    """Look around a model directory.

    Args:
        path: The model directory.
        around: What is said.
        declared: What the model's own files say of its environment; that wins.

    Raises:
        NotFound, InvalidInput, TooLarge, Conflict: data or a side file that was named cannot be read.
    """
    named = (path, *around.data, *around.side)
    state = code_at(path, leave_out=named) or code_at(Path.cwd(), leave_out=named)
    code, blobs = _code(state, around)
    top = state.top if state else None
    data, kept = plain_inputs(around.data, top=top, keep=around.keep_data)
    side = tuple(hash_file(found) for given in around.side for found in find_files(given))
    return Captured(
        code=code,
        data=(*data, *(dvc_inputs(top, leave_out=named) if top else ())),
        environment=_environment(around, declared),
        side=tuple(FileEntry(path=f.path, digest=f.digest, size=f.size) for f in side),
        files=(*kept, *side),
        blobs=blobs,
    )


def this_program() -> Surroundings:
    """The script that runs, with its arguments: what a program that registers its own model knows."""
    script = Path(sys.argv[0]) if sys.argv and sys.argv[0] else None
    if script is None or not script.is_file():  # a prompt, a notebook, python -c
        return Surroundings(trained_here=True)
    return Surroundings(
        entry_point=str(script.resolve()), arguments=tuple(sys.argv[1:]), trained_here=True
    )


def _code(state: CodeState | None, around: Surroundings) -> tuple[Code, dict[Digest, bytes]]:
    said = Code(entry_point=around.entry_point, arguments=around.arguments)
    if state is None:
        return replace(said, entry_point=Path(around.entry_point).name), {}
    code = replace(
        state.code,
        entry_point=_inside(state.top, around.entry_point),
        arguments=around.arguments,
        directory=_inside(state.top, str(Path.cwd())) if around.entry_point else "",
    )
    if not state.patch:
        return code, {}
    digest = digest_of_hex(hashlib.sha256(state.patch).hexdigest())
    return replace(code, patch=digest), {digest: state.patch}


def _inside(top: Path, path: str) -> str:
    """The path relative to the repository; outside of it only the name, which is all that others can use."""
    if not path:
        return ""
    real = Path(path).resolve()
    if real.is_relative_to(top):
        return "" if real == top else real.relative_to(top).as_posix()
    return Path(path).name if real.is_file() else ""


def _environment(around: Surroundings, declared: Environment) -> Environment:
    here = environment_now(around.seeds)
    trained_here = around.trained_here
    if trained_here is None:
        trained_here = fits(declared.packages, here.installed)
    if not trained_here:
        return replace(declared, settings=dict(around.seeds))
    return replace(
        here,
        python=declared.python or here.python,
        packages=declared.packages,
        files=declared.files,
    )
