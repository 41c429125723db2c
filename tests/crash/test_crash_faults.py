"""Full, broken and read-only disks: refused in our words, nothing half done, and over when it is over."""

import pytest

FULL, UNAVAILABLE = "StoreFull", "StoreUnavailable"

# System call, error, and what the client is told when it reaches the client at all.
# SQLite tells ENOSPC at a write from other errors; a quota or a failed sync it calls an I/O error.
FAULTS = [
    ("pwrite64", "ENOSPC", {FULL}),
    ("pwrite64", "EIO", {UNAVAILABLE}),
    ("pwrite64", "EDQUOT", {UNAVAILABLE}),
    ("pwrite64", "EROFS", {UNAVAILABLE}),
    ("fdatasync", "EIO", {UNAVAILABLE}),
    ("fdatasync", "ENOSPC", {UNAVAILABLE}),
    ("fsync", "EIO", {UNAVAILABLE}),
    ("fsync", "ENOSPC", {FULL}),
    ("fsync", "EDQUOT", {FULL}),
    ("write", "ENOSPC", {FULL}),
    ("write", "EDQUOT", {FULL}),
    ("write", "EIO", {UNAVAILABLE}),
    ("rename", "ENOSPC", {FULL}),
    ("rename", "EIO", {UNAVAILABLE}),
    ("rename", "EROFS", {UNAVAILABLE}),
    ("mkdir", "EDQUOT", {FULL}),
    ("mkdir", "EROFS", {UNAVAILABLE}),
    ("unlink", "EIO", {UNAVAILABLE}),
    ("ftruncate", "EIO", {UNAVAILABLE}),
    ("fchmod", "EROFS", {UNAVAILABLE}),
]
# The first call, a later one, and all from then on.
WHEN = ("1", "3", "1+", "4+")
# Clearing up and growing SQLite's shared memory may fail without anybody having to know.
HARMLESS = {"unlink", "ftruncate"}


def undergo(nursery, reference, syscall, error, when):
    """Let the worker meet the fault, lift it, let it go on; what was wrong, and what clients were told."""
    run = nursery.run(
        acts=reference.acts,
        template=reference.template,
        inject=f"{syscall}:error={error}:when={when}",
        lifted=True,
    )
    flaws = [f"exit code {run.exit_code}"] if run.exit_code else reference.check(run, unfinished=0)
    if not flaws:
        under, after = (count - reference.before for count in run.operations)
        if under != run.before_refusal:
            flaws.append(f"{under} operations under the fault, {run.before_refusal} acknowledged")
        if after != len(run.acknowledged):
            flaws.append(f"{after} operations at the end")
    nursery.discard(run)
    return flaws, run


@pytest.mark.slow
@pytest.mark.parametrize(("syscall", "error", "told"), FAULTS)
def test_a_fault_is_refused_in_our_words_and_is_over_when_it_is_over(
    nursery, references, syscall, error, told
):
    reached = 0
    for when in WHEN:
        flaws, run = undergo(nursery, references["release"], syscall, error, when)
        assert flaws == [], when
        assert len(run.refused) <= 1, "without the fault everything must work again"
        assert {refusal["refused"] for refusal in run.refused} <= told
        assert all(refusal["hint"] for refusal in run.refused)
        reached += len(run.refused)
    assert reached or syscall in HARMLESS


@pytest.mark.slow
@pytest.mark.parametrize(("syscall", "error"), sorted({fault[:2] for fault in FAULTS}))
@pytest.mark.parametrize("acts", ["begin", "release"])
def test_a_fault_while_a_registry_is_made_or_opened_is_refused_in_our_words(
    nursery, references, acts, syscall, error
):
    """All calls fail from the N-th on, from before the directory is opened; opening it later works."""
    reference = references[acts]
    for n in (1, 2, 6, 14):
        inject = f"{syscall}:error={error}:when={n}+"
        run = nursery.run(acts=acts, template=reference.template, inject=inject)
        assert run.exit_code == 0, inject
        assert {refusal["refused"] for refusal in run.refused} <= {FULL, UNAVAILABLE}
        assert all(refusal["hint"] for refusal in run.refused)
        assert reference.check(run, unfinished=0) == []
        nursery.discard(run)


@pytest.mark.nightly
@pytest.mark.parametrize(("syscall", "error", "told"), FAULTS)
def test_a_fault_at_each_call(nursery, references, syscall, error, told):
    last = 20 if syscall in HARMLESS else 200
    for n in range(1, last, 7 if syscall == "pwrite64" else 1):
        for when in (str(n), f"{n}+"):
            flaws, run = undergo(nursery, references["release"], syscall, error, when)
            assert flaws == [], when
            assert {refusal["refused"] for refusal in run.refused} <= told
        if not run.refused and syscall not in HARMLESS:
            return
