"""Users' own scripts, unmodified, with the newest MLflow client and with the last one of version 2."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ACCEPTANCE = HERE.parents[1].parent / "shared/acceptance/seed_flow.py"


@pytest.mark.slow
def test_a_users_workflow(run_script):
    output = run_script(HERE / "scripts/user_workflow.py")
    assert re.search(r"user workflow: \d+ checks passed", output)


@pytest.mark.slow
@pytest.mark.skipif(
    not ACCEPTANCE.exists(), reason="the acceptance script is not beside this checkout"
)
def test_the_workflow_of_the_seeds(run_script):
    assert re.search(r"seed flow: \d+ checks passed", run_script(ACCEPTANCE))
