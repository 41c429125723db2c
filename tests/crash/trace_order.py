"""Reads what strace wrote down and judges the order of writes, syncs and acknowledgements.

kill -9 cannot show a missing fsync, because the page cache outlives the process. The order of the
system calls can: a promise may be made only after everything it rests on was synced.
"""

import re
from dataclasses import dataclass
from pathlib import Path

# With all threads followed, a call that blocks is written as two lines, begun and resumed.
_WHOLE = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)\) += (?P<result>-?\d+).*")
_BEGUN = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*) <unfinished \.\.\.>")
_RESUMED = re.compile(
    r"(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)\) += (?P<result>-?\d+).*"
)
_FD_PATH = re.compile(r"\d+<(?P<path>[^>]*)>")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')

WRITES = frozenset({"write", "writev", "pwrite64", "ftruncate"})
SYNCS = frozenset({"fsync", "fdatasync"})
TRACED = ",".join(sorted(WRITES | SYNCS | {"rename", "mkdir"}))


@dataclass(frozen=True)
class Call:
    """One system call that succeeded; `begin` and `end` are lines of the trace."""

    name: str
    path: str  # of its file descriptor; for rename and mkdir the first argument
    to: str  # the second argument of rename
    begin: int
    end: int


def read(trace):
    """The calls that succeeded, in the order in which they ended."""
    calls, open_calls = [], {}
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        if begun := _BEGUN.fullmatch(line):
            open_calls[begun["pid"]] = (number, begun["rest"])
            continue
        if resumed := _RESUMED.fullmatch(line):
            begin, rest = open_calls.pop(resumed["pid"])
            match = resumed
        elif match := _WHOLE.fullmatch(line):
            begin, rest = number, match["rest"]
        else:
            continue
        if not match["result"].startswith("-"):
            calls.append(_call(match["name"], rest, begin, number))
    return calls


def _call(name, rest, begin, end):
    descriptor = _FD_PATH.match(rest)
    if descriptor:
        return Call(name, descriptor["path"], "", begin, end)
    arguments = [*_QUOTED.findall(rest), "", ""]
    return Call(name, arguments[0], arguments[1], begin, end)


def _writes(calls, path):
    return [call for call in calls if call.name in WRITES and call.path == path]


def _synced(calls, path, *, after, before):
    """Whether the file or directory was synced, wholly within that span of the trace."""
    return any(
        call.name in SYNCS and call.path == path and call.begin > after and call.end < before
        for call in calls
    )


def broken_acknowledgements(calls, *, log, acks):
    """Acknowledgements made before the newest write to the database's log was synced."""
    broken = []
    for ack in _writes(calls, acks):
        before = [call.end for call in _writes(calls, log) if call.end < ack.begin]
        if not before or not _synced(calls, log, after=max(before), before=ack.begin):
            broken.append(ack)
    return broken


def broken_objects(calls, *, log):
    """Objects that the database could name before their bytes and their names were durable."""
    broken = []
    for rename in (call for call in calls if call.name == "rename"):
        folder = str(Path(rename.to).parent)
        commit = min((w.begin for w in _writes(calls, log) if w.begin > rename.end), default=None)
        written = max(call.end for call in _writes(calls, rename.path))
        durable = _synced(calls, rename.path, after=written, before=rename.begin)
        named = commit is None or (
            _synced(calls, folder, after=rename.end, before=commit)
            and _folder_synced(calls, folder, before=commit)
        )
        if not durable or not named:
            broken.append(rename)
    return broken


def _folder_synced(calls, folder, *, before):
    """Whether a folder made in this trace has a durable name itself."""
    made = [call.end for call in calls if call.name == "mkdir" and call.path == folder]
    return not made or _synced(calls, str(Path(folder).parent), after=made[0], before=before)
