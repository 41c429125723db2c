"""Scripts run by MLflow's clients in environments of their own, without a server of ours."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "scripts"
PYTHONS = {"mlflow3": ROOT / ".venv/bin/python", "mlflow2": ROOT / ".venv-mlflow2/bin/python"}
SCRIPT_TIMEOUT_S = 240.0


def mlflow_script(name, *arguments, cwd=None, client="mlflow3", **environment):
    """What the script printed, once it ended well."""
    done = subprocess.run(
        [PYTHONS[client], "-W", "ignore", SCRIPTS / name, *map(str, arguments)],
        cwd=cwd,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(cwd or Path.cwd()),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "GIT_PYTHON_REFRESH": "quiet",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=SCRIPT_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
