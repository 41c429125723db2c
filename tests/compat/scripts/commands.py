"""Runs commands of `mlflow` one after the other in one process, because importing it takes seconds.

    python commands.py '[["experiments", "search"], ["runs", "list", "--experiment-id", "0"]]'

Prints their exit codes and outputs as JSON.
"""

import json
import sys

from click.testing import CliRunner
from mlflow.cli import cli

told = []
for arguments in json.loads(sys.argv[1]):
    done = CliRunner().invoke(cli, arguments)
    told.append([done.exit_code, done.stdout])
print(json.dumps(told))
