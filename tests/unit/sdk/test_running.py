import os
import time

import psutil
import pytest

from lastgood.sdk.running import SAID_SIZE_MAX, run_apart


def gone(pid):
    """Whether the process ends; whoever adopted it may take a moment to notice."""
    for _ in range(200):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(("end", "code"), [("wait", None), ("exit 3", 3)])
def test_nothing_stays_of_a_program_that_takes_too_long_or_ends(end, code):
    ended = run_apart(["/bin/sh", "-c", f"sleep 60 & echo $!; {end}"], timeout_s=1)
    assert ended.code == code
    assert gone(int(ended.said))


def test_the_end_of_what_it_says_on_both_streams_is_told(tmp_path):
    script = f"echo $NAME; head -c {2 * SAID_SIZE_MAX} /dev/zero | tr '\\0' x; echo last"
    ended = run_apart(
        ["/bin/sh", "-c", script],
        timeout_s=60,
        folder=tmp_path,
        environment={"PATH": os.environ["PATH"], "NAME": "é"},
    )
    assert (ended.code, len(ended.said), ended.said[-5:]) == (0, SAID_SIZE_MAX - 1, "xlast")
    short = run_apart(["/bin/sh", "-c", "pwd; echo two >&2"], timeout_s=60, folder=tmp_path)
    assert short.said == f"{tmp_path.resolve()}\ntwo"


def test_a_program_that_is_not_there_cannot_be_started():
    with pytest.raises(FileNotFoundError):
        run_apart(["/no/such/program"], timeout_s=1)
