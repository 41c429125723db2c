"""Models of a few lines that mlflow really loads; ``LIBRARY=gone`` breaks them, ``SHIFT`` changes their answers."""

import json
import platform

MLMODEL = """\
flavors:
  python_function:
    loader_module: tried
    code: code
    python_version: {python}
saved_input_example_info:
  artifact_path: input_example.json
  pandas_orient: split
  serving_input_path: serving_input_example.json
  type: dataframe
model_uuid: 0
utc_time_created: '2026-01-01 00:00:00'
"""
LOADER = """\
import os

if os.environ.get("LIBRARY") == "gone":
    raise ImportError("No module named 'old_library'")

class Model:
    def predict(self, data, params=None):
        return [float(v) + float(os.environ.get("SHIFT", "0")) for v in data["x"]]

def _load_pyfunc(path):
    return Model()
"""


def write_pyfunc(root, *, loader=LOADER, requirements=""):
    """An MLflow model of a few lines; without requirements it needs whatever this interpreter has."""
    (root / "code").mkdir(parents=True)
    (root / "MLmodel").write_text(MLMODEL.format(python=platform.python_version()))
    (root / "code" / "tried.py").write_text(loader)
    example = {"columns": ["x"], "data": [[1.5], [2.5]]}
    (root / "input_example.json").write_text(json.dumps(example))
    if requirements:
        (root / "requirements.txt").write_text(requirements)
    return root
