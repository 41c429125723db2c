"""The parts of MLflow's protocol that this server leaves out, and what it says instead of each.

501 is what MLflow's clients neither retry nor take for an outage. They go on without the part where
they can: a trace that cannot be exported is one warning. Where a client knows 404 as "this server
has no such part" and explains it better than we could, it gets that; the table says where and why.
"""

import re
from dataclasses import dataclass

__all__ = ["FAMILIES", "Family", "family_of"]

_TRACES_ADVICE = (
    "runs, metrics and models are not affected; mlflow.tracing.disable() or MLFLOW_TRACE_SAMPLING_RATIO=0 stops "
    "clients from sending traces, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT sends them to a collector"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Endpoints that belong to one part of MLflow."""

    name: str
    paths: tuple[str, ...]
    """Beginnings of paths; what follows is nothing, or a slash."""
    advice: str
    """What to do instead."""
    status: int = 501
    why: str = "clients do not retry it, and say so"
    """Why that status: what clients do with it."""

    @property
    def message(self) -> str:
        """What the answer says."""
        return f"lastgood does not offer MLflow's {self.name}: {self.advice}"


FAMILIES = (
    Family(
        name="span export",
        paths=("/v1/traces", "/v1/metrics"),
        advice=f"REST OTLP span logging is not supported here; {_TRACES_ADVICE}",
        why="MLflow 3 looks for these words and then stops exporting spans one by one",
    ),
    Family(
        name="traces and assessments",
        paths=(
            "/api/2.0/mlflow/traces",
            "/api/3.0/mlflow/traces",
            "/api/2.0/mlflow/unified-traces",
            "/api/2.0/mlflow/get-online-trace-details",
            "/api/2.0/mlflow/get-trace-artifact",
            "/api/3.0/mlflow/get-trace-artifact",
            "/api/3.0/mlflow/assessments",
        ),
        advice=_TRACES_ADVICE,
        why="the export ends with one warning; on 404 MLflow 3 would try the older trace protocol in vain",
    ),
    Family(
        name="AI gateway",
        paths=("/gateway", "/api/3.0/mlflow/gateway", "/api/2.0/mlflow/gateway-proxy"),
        advice="run `mlflow gateway` beside it, or call the provider directly",
    ),
    Family(
        name="evaluation datasets",
        paths=("/api/3.0/mlflow/datasets",),
        advice="log the table to a run with mlflow.log_input or mlflow.log_table",
    ),
    Family(
        name="scorers and evaluation in the server",
        paths=("/api/3.0/mlflow/scorers", "/api/3.0/mlflow/scorer", "/api/3.0/mlflow/genai"),
        advice="score in your own process and log the result as metrics",
    ),
    Family(
        name="prompt optimization",
        paths=("/api/3.0/mlflow/prompt-optimization",),
        advice="optimize in your own process and register the result as a prompt",
    ),
    Family(
        name="issues",
        paths=("/api/3.0/mlflow/issues",),
        advice="use your issue tracker",
    ),
    Family(
        name="labelling",
        paths=("/api/3.0/mlflow/label-schemas", "/api/3.0/mlflow/review-queues"),
        advice="collect labels elsewhere and log them to a run",
    ),
    Family(
        name="jobs in the server",
        paths=("/api/3.0/jobs", "/api/3.0/mlflow/jobs"),
        advice="run the work in your own process or scheduler",
    ),
    Family(
        name="MCP servers and assistant",
        paths=("/api/3.0/mlflow/mcp-servers", "/api/3.0/mlflow/assistant"),
        advice="use the REST API that docs/reference/mlflow-api.md lists",
    ),
    Family(
        name="own web pages",
        paths=(
            "/graphql",
            "/api/2.0/mlflow/runs/create-promptlab-run",
            "/api/3.0/mlflow/ui-telemetry",
            "/api/3.0/mlflow/demo",
        ),
        advice="only MLflow's pages ask for this, and this server has none of them",
    ),
    Family(
        name="user, role and permission management",
        paths=(
            "/api/2.0/mlflow/users",
            "/api/3.0/mlflow/users",
            "/api/3.0/mlflow/roles",
            "/api/2.0/mlflow/experiments/permissions",
            "/api/2.0/mlflow/registered-models/permissions",
        ),
        advice="there is no access control yet; put a proxy with authentication in front of the server",
    ),
    Family(
        name="workspaces",
        paths=("/api/3.0/mlflow/workspaces",),
        advice="run a server with its own data directory for each",
        status=404,
        why="MLflow's client turns exactly ENDPOINT_NOT_FOUND into FEATURE_DISABLED and says what is missing",
    ),
)
"""In the order in which they are looked at; no path belongs to two of them."""

_BY_PATH = tuple(
    (re.compile(rf"{re.escape(path)}(?:/|\Z)"), family)
    for family in FAMILIES
    for path in family.paths
)


def family_of(path: str) -> Family | None:
    """The family that the path belongs to; None if MLflow has no such endpoint either, or we have it.

    Args:
        path: Without ``/ajax-``, as the server looks for endpoints.
    """
    return next((family for pattern, family in _BY_PATH if pattern.match(path)), None)
