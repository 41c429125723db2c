"""Real full and real read-only file systems, in a mount namespace of their own."""

import json
import shutil
import subprocess
import sys

import pytest

MOUNTABLE = ["unshare", "--mount", "--map-root-user", "sh", "-c", "mount -t tmpfs none /tmp"]

FILL = """
import hashlib, io, json, sys
from pathlib import Path
import crash_worker
from lastgood.core.ids import digest_of_hex
from lastgood.engine.open import open_engine
from lastgood.errors import LastgoodError

data, filler = Path(sys.argv[1]) / "data", Path(sys.argv[1]) / "filler"
crash_worker.prepare(data)
told, left = [], list(crash_worker.ACTS["release"])

def go_on(engine):
    while left:
        left[0](engine.registry)
        del left[0]

def refused(error):
    return [type(error).__name__, error.message, error.hint]

with open_engine(data, clock=crash_worker.now) as engine:
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    for _ in range(3):
        try:
            go_on(engine)
        except LastgoodError as error:
            told.append(refused(error))
    under = len(engine.registry.log(limit=1000))
    filler.unlink()
    go_on(engine)
    report = engine.registry.fsck()
print(json.dumps({"told": told, "under": under, "after": report.operations, "problems": len(report.problems)}))
"""

READ_ONLY = """
import json, sys
from pathlib import Path
import crash_worker
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.errors import LastgoodError

told = []
for attempt in (
    lambda: init_data_directory(Path(sys.argv[1]) / "new"),
    lambda: crash_worker.ACTS["release"][0](open_engine(Path(sys.argv[1]) / "data").registry),
):
    try:
        attempt()
    except LastgoodError as error:
        told.append([type(error).__name__, error.message, error.hint])
print(json.dumps({"told": told}))
"""


@pytest.fixture(scope="module")
def namespace():
    """Runs a script after a mount that only it sees."""
    if shutil.which("unshare") is None or subprocess.run(MOUNTABLE, capture_output=True).returncode:
        pytest.skip("mounting in a namespace is not allowed here")

    def run(mount, script, folder):
        inside = [*MOUNTABLE[:4], "-c", f'{mount} && exec "$@"', "sh"]
        done = subprocess.run(
            [*inside, sys.executable, "-c", script, str(folder)],
            capture_output=True,
            text=True,
            timeout=120,
            env={
                "PYTHONPATH": str(folder.parent / "tests"),
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            },
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def folder(tmp_path, request):
    (tmp_path / "tests").symlink_to(request.path.parent)
    found = tmp_path / "mounted"
    found.mkdir()
    return found


def test_a_full_disk_is_said_and_forgotten_when_there_is_space_again(namespace, folder):
    told = namespace(f"mount -t tmpfs -o size=4m none {folder}", FILL, folder)
    assert [name for name, _, _ in told["told"]] == ["StoreFull"] * 3
    assert all("No space left" in message and hint for _, message, hint in told["told"])
    assert told["under"] == 4
    assert told["after"] == 4 + 7
    assert told["problems"] == 0


def test_a_read_only_data_directory_is_said(namespace, folder, template):
    shutil.copytree(template, folder / "data")
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    told = namespace(mount, READ_ONLY, folder)["told"]
    assert [name for name, _, _ in told] == ["StoreUnavailable"] * 2
    assert all(str(folder) in message and hint for _, message, hint in told)
