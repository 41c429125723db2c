"""The manifest: canonical JSON that names, by SHA-256, everything a version is.

Its digest is the version's identity. The byte form is specified in docs/format.md.
"""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

import msgspec

from lastgood.core.canonical import canonical
from lastgood.core.ids import Digest, parse_digest, printable
from lastgood.errors import IntegrityFailure, InvalidInput, TooLarge

__all__ = [
    "Code",
    "DataInput",
    "Environment",
    "FileEntry",
    "Manifest",
    "Source",
    "decode_manifest",
    "parse_file_path",
]

MANIFEST_SCHEMA = 1
FILES_MAX = 100_000
PATH_LENGTH_MAX = 1024
FILE_SIZE_MAX = 2**53 - 1  # the largest whole number that JSON carries everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One model file: its path inside the model, its digest and its size in bytes."""

    path: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Where the training code was, as far as the source knew."""

    commit: str = ""
    remote: str = ""
    branch: str = ""
    entry_point: str = ""
    """The script, relative to the top of the repository if it lies in one."""
    arguments: tuple[str, ...] = ()
    """Of the entry point."""
    directory: str = ""
    """Where it was started, relative to the top of the repository."""
    dirty: bool = False
    """Tracked files differed from the commit."""
    patch: Digest | None = None
    """An object: what `git diff --binary` said of tracked files."""
    untracked: tuple[str, ...] = ()
    """Files that Git neither tracks nor ignores; their bytes are not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataInput:
    """One dataset that went into training."""

    name: str
    digest: str
    """As its source wrote it: an MLflow dataset digest, an md5 of DVC, or a SHA-256."""
    source: str = ""
    source_type: str = ""
    context: str = ""
    path: str = ""
    """Relative to the top of the repository, or as it was given; empty if its source has no files."""
    size: int | None = None
    """In bytes, if it is known."""
    object: Digest | None = None
    """Its bytes, if they are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the model was trained with and needs to run."""

    python: str = ""
    packages: tuple[str, ...] = ()
    """Requirement lines, as in requirements.txt."""
    files: tuple[str, ...] = ()
    """Paths of the environment files among the model's files."""
    installed: tuple[str, ...] = ()
    """All packages of the interpreter that trained the model, as ``name==version``."""
    local: tuple[str, ...] = ()
    """Names of those among them that were installed from a directory: no index has them."""
    platform: str = ""
    """System, processor and C library, for example ``linux-x86_64-glibc2.36``."""
    settings: dict[str, str] = field(default_factory=dict)
    """Seeds and thread counts that were set: variables of the environment, and seeds that were told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the version was registered from."""

    uri: str = ""
    run_id: str = ""
    experiment_id: str = ""
    logged_model_id: str = ""
    program: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything a version is. Files are sorted by path; paths are unique."""

    files: tuple[FileEntry, ...]
    code: Code = field(default_factory=Code)
    data: tuple[DataInput, ...] = ()
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float | str] = field(default_factory=dict)
    """NaN and infinities as the strings NaN, Infinity, -Infinity."""
    tags: dict[str, str] = field(default_factory=dict)
    environment: Environment = field(default_factory=Environment)
    signature: str = ""
    """The model signature as JSON text, as the MLmodel file states it; empty if there is none."""
    flavors: tuple[str, ...] = ()
    input_example: str = ""
    """The path of the model's input example among the files; empty if there is none."""
    side: tuple[FileEntry, ...] = ()
    """Files that belong to the version but not to the model: reports, plots, notebooks."""
    source: Source = field(default_factory=Source)
    schema: int = MANIFEST_SCHEMA

    def encode(self) -> bytes:
        """The canonical bytes, over which the version's digest is computed.

        Raises:
            InvalidInput: no files, a path twice, or a size JSON cannot carry.
            TooLarge: more than 100,000 files.
        """
        check_files(self.files)
        if self.side:
            check_files(self.side)
        for _, digest in self.kept():
            parse_digest(digest)
        return canonical(msgspec.to_builtins(self))

    def file(self, path: str) -> FileEntry | None:
        """The entry of that path, if there is one."""
        return next((entry for entry in self.files if entry.path == path), None)

    def kept(self) -> tuple[tuple[str, Digest], ...]:
        """What it names beside the model's files, in words, and the objects that have to be there."""
        found = [(f"side file {entry.path}", entry.digest) for entry in self.side]
        found += [(f"data {data.name}", data.object) for data in self.data if data.object]
        if self.code.patch:
            found.append(("patch of the code", self.code.patch))
        return tuple(found)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)


def check_files(files: tuple[FileEntry, ...]) -> None:
    """Refuse a list of files that cannot be a model.

    Raises:
        InvalidInput: no files, a path that is unsafe or given twice, a digest or size out of form.
        TooLarge: more than 100,000 files.
    """
    if not files:
        raise InvalidInput(
            "A model needs at least one file", hint="is this the directory that holds the model?"
        )
    if len(files) > FILES_MAX:
        raise TooLarge(f"A model may have {FILES_MAX:,} files; this one has {len(files):,}")
    seen: set[str] = set()
    for entry in files:
        parse_file_path(entry.path)
        parse_digest(entry.digest)
        if not 0 <= entry.size <= FILE_SIZE_MAX:
            raise InvalidInput(f"'{printable(entry.path)}': the size {entry.size} is not possible")
        if entry.path in seen:
            raise InvalidInput(f"'{printable(entry.path)}' is listed twice")
        seen.add(entry.path)


def parse_file_path(text: str) -> str:
    """A path inside a model: relative, normal, with forward slashes.

    Raises:
        InvalidInput: empty, absolute, with ``..``, ``.``, backslashes, control characters, or too long.
    """
    path = PurePosixPath(text)
    parts = path.parts
    unsafe = (
        not parts
        or path.is_absolute()
        or ".." in parts
        or str(path) != text
        or "\\" in text
        or any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) <= 0xDFFF for c in text)
        or (len(text) > 1 and text[1] == ":")
    )
    if unsafe or len(text) > PATH_LENGTH_MAX:
        raise InvalidInput(
            f"Invalid path: '{printable(text)}'. A file's path is relative and stays inside the model"
        )
    return text


def decode_manifest(data: bytes, *, digest: Digest) -> Manifest:
    """Read a manifest whose bytes were already checked against `digest`.

    Raises:
        IntegrityFailure: the bytes are no manifest, or of a newer schema.
    """
    try:
        manifest = msgspec.json.decode(data, type=Manifest, strict=True)
    except msgspec.MsgspecError as error:
        raise IntegrityFailure(f"Object {digest} is not a manifest: {error}") from error
    if manifest.schema > MANIFEST_SCHEMA:
        raise IntegrityFailure(
            f"Manifest {digest} has schema {manifest.schema}; this lastgood reads up to {MANIFEST_SCHEMA}",
            hint="upgrade lastgood",
        )
    return manifest
