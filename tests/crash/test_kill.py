"""kill -9 at the N-th call of every system call that changes a file, during register, promote, roll back, mark.

After each the directory is opened again: what was acknowledged is there, nothing is half visible,
fsck is clean, and a client that repeats its acts gets where it wanted to.
"""

import pytest
from crash_harness import KILLED

# The names that Python and SQLite use here for what outlasts a process. A kill lands before the call
# takes effect, so between two of them there is nothing to tell apart. strace counts per thread.
DATABASE_WRITE = "pwrite64"  # by far the most
SYSCALLS = (
    "write",
    "fsync",
    "fdatasync",
    "rename",
    "unlink",
    "ftruncate",
    "mkdir",
    "fchmod",
)
POINTS_MAX = 2000  # of one name; the worker ends long before


def points(nursery, reference, syscall, *, every=1, first=1, variant=None):
    """Kill at the first, (first + every)-th … call; ends with the run that no kill reached."""
    for n in range(first, POINTS_MAX, every):
        run = nursery.run(
            acts=reference.acts,
            template=reference.template,
            inject=f"{syscall}:signal=SIGKILL:when={n}",
            variant=variant,
        )
        yield n, run
        nursery.discard(run)
        if run.exit_code == 0:
            return
    pytest.fail(f"the worker never ended: {POINTS_MAX} calls of {syscall}")


def kill_everywhere(nursery, reference, syscall, **steps):
    flaws, killed = {}, 0
    for n, run in points(nursery, reference, syscall, **steps):
        assert run.exit_code in {0, KILLED}
        assert run.refused == []
        killed += run.exit_code == KILLED
        if found := reference.check(run):
            flaws[n] = found
    assert flaws == {}
    return killed


@pytest.mark.slow
@pytest.mark.parametrize("syscall", SYSCALLS)
@pytest.mark.parametrize("acts", ["release", "begin"])
def test_kill_at_each_call(nursery, references, acts, syscall):
    assert kill_everywhere(nursery, references[acts], syscall) > 0


@pytest.mark.slow
@pytest.mark.parametrize("first", [1, 3])
@pytest.mark.parametrize("acts", ["release", "begin"])
def test_kill_at_every_second_write_to_the_database(nursery, references, acts, first):
    assert kill_everywhere(nursery, references[acts], DATABASE_WRITE, first=first, every=4) > 20


@pytest.mark.nightly
@pytest.mark.parametrize("acts", ["release", "begin"])
def test_kill_at_every_other_second_write_to_the_database(nursery, references, acts):
    assert kill_everywhere(nursery, references[acts], DATABASE_WRITE, first=2, every=2) > 40


@pytest.mark.slow
def test_without_the_transaction_a_kill_leaves_half_an_operation(nursery, references):
    """The control: the same kills and the same checker, but every statement commits by itself."""
    reference, halves = references["release"], 0
    steps = points(nursery, reference, DATABASE_WRITE, every=9, variant="without transaction")
    for _, run in steps:
        found = reference.check(run)
        halves += bool(found)
    assert halves >= 5
