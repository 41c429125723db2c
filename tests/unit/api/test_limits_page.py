"""The page about limits says what the code does."""

from pathlib import Path

import pytest

from lastgood.api import admission, app, limits, native_door, pace, process, server
from lastgood.api.mlflow import registry
from lastgood.core import commands, filter_parser, manifest
from lastgood.engine.tracking import limits as tracking
from lastgood.engine.tracking import searches
from lastgood.store import database
from lastgood.web import server as http

PAGE = (Path(__file__).parents[3] / "docs/reference/limits.md").read_text(encoding="utf-8")
MIB = 2**20


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("requests that wait", f"{admission.ANSWERING_MAX:,}"),
        ("requests that wait", f"1 to {admission.RETRY_AFTER_S_MAX} s"),
        ("uploads and downloads", f"{admission.STREAMING_MAX:,}"),
        ("gateways that wait", f"{admission.WATCHING_MAX:,}"),
        ("bodies in memory", f"{admission.BODY_BYTES_MAX // MIB} MiB"),
        ("writes queued", f"{database.QUEUE_MAX:,}"),
        ("connections", f"{process.CONNECTIONS_MAX:,}"),
        ("head of a request", f"{http.HEAD_TIMEOUT_S:.0f} s"),
        ("JSON body", f"{admission.BODY_TIMEOUT_S:g} s"),
        ("upload without a byte", f"{pace.STALL_TIMEOUT_S:g} s"),
        ("upload that waited", f"{pace.RATE_AFTER_S:g} s"),
        ("upload that waited", f"{pace.RATE_MIN:,} bytes"),
        ("answer that its client", f"{server.UNREAD_TIMEOUT_S:g} s"),
        ("path of an address", f"{limits.PATH_LENGTH_MAX:,}"),
        ("query of an address", f"{limits.QUERY_LENGTH_MAX:,}"),
        ("fields in a query", f"{app.QUERY_FIELDS_MAX:,}"),
        ("headers", f"{http.HEADERS_MAX}, and {limits.HEADERS_LENGTH_MAX:,}"),
        ("JSON body, MLflow", f"{limits.JSON_BODY_MAX // MIB} MiB"),
        ("JSON body, native", f"{native_door.BODY_BYTES_MAX // MIB} MiB"),
        (
            "filter",
            f"{filter_parser.FILTER_LENGTH_MAX:,} characters, {searches.FILTERS_MAX} clauses",
        ),
        ("`order_by`", f"{searches.ORDERS_MAX} fields"),
        ("page of runs", f"{searches.RESULTS_MAX:,}"),
        ("page of registered models", f"{registry.MODELS_MAX:,}"),
        ("page of a metric", f"{searches.HISTORY_MAX:,}"),
        ("experiments in one search", f"{searches.EXPERIMENTS_MAX:,}"),
        (
            "batch",
            f"{tracking.BATCH_METRICS_MAX:,}, {tracking.BATCH_PARAMS_MAX}, {tracking.BATCH_TAGS_MAX}",
        ),
        ("tags of a new", f"{tracking.TAGS_MAX:,}"),
        ("datasets or models", f"{tracking.INPUTS_MAX:,}"),
        ("files of a version", f"{manifest.FILES_MAX:,}"),
        ("reason", f"{commands.REASON_LENGTH_MAX:,}"),
    ],
)
def test_the_page_has_the_numbers_of_the_code(row, words):
    lines = [line for line in PAGE.splitlines() if line.startswith(f"| {row}")]
    assert lines, row
    assert any(words in line for line in lines)
