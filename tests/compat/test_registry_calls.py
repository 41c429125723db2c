"""Every registry call of both MLflow clients."""

import re
from pathlib import Path

import pytest


@pytest.mark.slow
def test_every_registry_call(run_script):
    output = run_script(Path(__file__).parent / "scripts/registry_calls.py")
    assert re.search(r"registry calls: \d+ checks passed", output)
