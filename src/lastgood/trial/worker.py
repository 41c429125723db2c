"""The process that is thrown away: loads one model, answers one input some times, reports, ends.

Runs as a script in the interpreter that is asked for, so it imports the standard library and mlflow;
never lastgood. Importing is most of its time, so it comes first, while whoever started it is still
getting the model ready. The order then comes as one line of JSON on standard input, the report goes
to the file descriptor that the first argument names: whatever the model prints cannot pass for a report.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import platform
import resource
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["main"]

REASON_LENGTH_MAX = 1500


def answers_of(model: Any, data: Any, params: Any) -> str:
    """What the model answers, as the JSON that a server of mlflow would send."""
    from mlflow.utils.proto_json_utils import NumpyEncoder, _get_jsonable_obj

    predictions = model.predict(data, params=params)
    jsonable = _get_jsonable_obj(predictions, pandas_orient="records")
    return json.dumps(jsonable, cls=NumpyEncoder)


def read_input(model: Any, order: dict[str, Any]) -> tuple[Any, Any]:
    """The input to answer and its parameters: the file that is named, else the model's own example."""
    if not order.get("input"):
        data = model.metadata.load_input_example(order["path"])
        return data, None
    file = Path(order["input"])
    from mlflow.pyfunc import scoring_server

    schema = model.metadata.get_input_schema()
    if file.suffix == ".csv":
        return scoring_server.parse_csv_input(io.StringIO(file.read_text()), schema), None
    if file.suffix == ".parquet":
        import pandas as pd  # it came with mlflow

        return pd.read_parquet(file), None
    parsed = scoring_server._parse_json_data(  # noqa: SLF001  # the only door to it
        json.loads(file.read_text()), model.metadata, schema
    )
    return parsed.data, parsed.params


def attempt(order: dict[str, Any]) -> dict[str, Any]:
    """Load the model and let it answer; what was seen."""
    import mlflow
    import mlflow.pyfunc

    started = time.perf_counter()
    # Its warnings compare all packages, which takes longer than the rest, and nobody would read them here.
    model = mlflow.pyfunc.load_model(order["path"], suppress_warnings=True)
    loaded = time.perf_counter()
    data, params = read_input(model, order) if order["times"] else (None, None)
    answers, took_ms = [], []
    for _ in range(order["times"]):
        before = time.perf_counter()
        answers.append(answers_of(model, data, params))
        took_ms.append((time.perf_counter() - before) * 1000)
    unit = 1024 if sys.platform == "linux" else 1  # kibibytes there, bytes elsewhere
    return {
        "answers": json.loads(answers[0]) if answers else None,
        "deterministic": len(set(answers)) <= 1,
        "load_s": loaded - started,
        "predict_ms": took_ms[-1] if took_ms else 0.0,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20,
        "mlflow": mlflow.__version__,
        "python": platform.python_version(),
    }


def import_ahead(modules: list[str]) -> None:
    """Import what loading will need. Only time is gained: what fails here fails again, with its reason."""
    for module in ("mlflow.pyfunc", *modules):
        with suppress(Exception):
            importlib.import_module(module)


def main(arguments: list[str]) -> None:
    """Import, wait for the order, carry it out, report to the descriptor `arguments[0]`, end.

    Further arguments name modules that the model will probably need.
    """
    report = os.fdopen(int(arguments[0]), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        import_ahead(arguments[1:])
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        json.dump(attempt(json.loads(line)), report)
    except BaseException as error:  # the edge: imports and model code may raise anything
        traceback.print_exc()
        text = " ".join(str(error).split())
        json.dump({"error": f"{type(error).__name__}: {text}"[:REASON_LENGTH_MAX]}, report)
    report.close()
    sys.stderr.flush()
    os._exit(0)  # threads that a model left behind must not keep the process


if __name__ == "__main__":
    # Python put this file's directory first; a model's `import process` must not find ours.
    if sys.path and Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
        del sys.path[0]
    main(sys.argv[1:])
