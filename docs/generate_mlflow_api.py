# ruff: noqa: INP001 - a script beside the pages it writes, not a package
"""Write docs/reference/mlflow-api.md from the server's own tables: ``python docs/generate_mlflow_api.py``."""

import inspect
from collections.abc import Iterator
from pathlib import Path

from lastgood.api.mlflow.left_out import FAMILIES
from lastgood.api.mlflow.routes import MLFLOW_VERSION, mlflow_routes
from lastgood.api.mlflow.wire import Handler

PAGE = Path(__file__).parent / "reference" / "mlflow-api.md"

INTRODUCTION = """\
<!-- Made by docs/generate_mlflow_api.py; do not edit. -->
# MLflow's calls

`lastgood server` speaks the REST protocol of MLflow {version}, to clients of MLflow 2.x and 3.x. Each path below that begins
with `/api/` is there under `/ajax-api/` too. Errors are `{{"error_code", "message"}}` with MLflow's codes.
A request that names a workspace (`X-MLFLOW-WORKSPACE`) is refused with 400 `FEATURE_DISABLED`.

The column *since* says which MLflow brought the call, where that is known to be younger than 2.0: older clients do not
make it.
"""

LEFT_OUT = """\
## Left out

These are answered at once, with what is missing and what to do instead. 501 `NOT_IMPLEMENTED` is not repeated by
clients, as 503 would be for minutes. 404 is `ENDPOINT_NOT_FOUND`.

| part of MLflow | paths | status | why that one |
|---|---|---|---|
"""

SINCE = (
    ("/registered-models/alias", "2.3"),
    ("/runs/log-inputs", "2.4"),
    ("/logged-models", "3.0"),
    ("/runs/outputs", "3.0"),
    ("/webhooks", "3.3"),
)

GROUPS = (
    ("Experiments", ("/api/2.0/mlflow/experiments/",)),
    (
        "Runs and metrics",
        ("/api/2.0/mlflow/runs/", "/api/2.0/mlflow/metrics/"),
    ),
    ("Logged models", ("/api/2.0/mlflow/logged-models",)),
    (
        "Registered models, versions, aliases; prompts are such models",
        (
            "/api/2.0/mlflow/registered-models/",
            "/api/2.0/mlflow/model-versions/",
        ),
    ),
    ("Webhooks", ("/api/2.0/mlflow/webhooks",)),
    (
        "Artifacts",
        (
            "/api/2.0/mlflow-artifacts/",
            "/api/2.0/mlflow/artifacts/",
            "/api/2.0/mlflow/upload-artifact",
            "/get-artifact",
            "/model-versions/get-artifact",
        ),
    ),
    ("About the server", ("",)),
)


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION.format(version=MLFLOW_VERSION)]
    left = sorted(mlflow_routes().table, key=lambda row: (row[1], row[0]))
    for title, beginnings in GROUPS:
        rows = [row for row in left if row[1].startswith(beginnings)]
        left = [row for row in left if row not in rows]
        parts.append(f"## {title}\n\n| call | what it does | since |\n|---|---|---|\n")
        parts[-1] += "".join(_rows(rows))
    parts.append(LEFT_OUT + "".join(_families()))
    return "\n".join(parts)


def _rows(rows: list[tuple[str, str, Handler]]) -> Iterator[str]:
    for method, path, handler in rows:
        said = (inspect.getdoc(handler) or "").split("\n", maxsplit=1)[0].replace("|", "\\|")
        since = next((version for part, version in SINCE if part in path), "")
        yield f"| `{method} {path.replace(':path}', '}')}` | {said} | {since} |\n"


def _families() -> Iterator[str]:
    for family in FAMILIES:
        paths = " ".join(f"`{path}`" for path in family.paths)
        yield f"| {family.name} | {paths} | {family.status} | {family.why} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
