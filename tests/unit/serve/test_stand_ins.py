"""What an interpreter has: asked of one with an empty set of packages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import lastgood

PACKAGE = Path(lastgood.__file__).parent
NAMES = ["mlflow", "other"]


def versions(script, folder):
    """What `version_of` of a script says where only what lies in the folder is installed."""
    code = (
        f"import json, runpy; ask = runpy.run_path({str(PACKAGE / script)!r})['version_of'];"
        f"print(json.dumps([ask(name) for name in {NAMES}]))"
    )
    # -S: without the packages of the interpreter that runs the tests.
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("script", ["trial/probe.py", "serve/worker_main.py"])
def test_mlflow_skinny_stands_in_for_mlflow_and_for_nothing_else(tmp_path, script):
    assert versions(script, tmp_path) == [None, None]
    for name, number in (("mlflow_skinny", "3.1"), ("mlflow", "3.2")):
        info = tmp_path / f"{name}-{number}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
        assert versions(script, tmp_path) == [number, None]
