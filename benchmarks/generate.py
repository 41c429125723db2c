"""A large data directory, quickly: runs with metrics, parameters and tags; models with versions.

    python benchmarks/generate.py DIR [--runs 100000] [--versions 10000] [--points 1000000] ...

The registry is made by appending real operations to the log, so that `lastgood fsck` is clean.
Tracking is filled by SQL inside of SQLite, with the indexes made at the end. Everything follows from
the numbers given: the same command makes the same contents.
"""

import argparse
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex

from lastgood.core.changes import ModelCreated, RefMoved, StageChanged, VersionRegistered
from lastgood.core.ids import Instant, ModelName, RefName, VersionNumber
from lastgood.core.operations import Act, Actor, Origin
from lastgood.core.stages import Stage
from lastgood.core.tracking import Metric
from lastgood.engine.fsck import fsck
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.store import log
from lastgood.store.schema import HEAD_LENGTH, metadata, runs
from lastgood.store.tracking.metrics import add_metrics
from lastgood.store.tracking.points import packed
from lastgood.store.tracking.revisions import change
from lastgood.store.tracking.runs import run_of

FIRST_MS = 1_700_000_000_000
OPERATIONS_PER_UNIT = 500
POINTS_PER_UNIT = 100_000
BIG_EXPERIMENT = 1  # holds nine of ten runs; the others share the rest
BIG_MODEL = "big"  # has half of the versions
FILLED = (
    "runs", "params", "run_tags", "latest_metrics", "metric_tails",
    "experiments", "logged_models", "logged_model_params", "logged_model_tags", "logged_model_metrics",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    runs: int
    metrics: int
    params: int
    experiments: int
    models: int
    versions: int
    logged_models: int
    points: int


# A number from 0 to 1 that looks random, from two whole numbers.
_MIXED = "((({0}) * 2654435761 + ({1}) * 40503 + 12345) % 1000003)"
CHANCE = f"({_MIXED} * {_MIXED} % 1000003) / 1000003.0"
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {})"


def fill_tracking(path: Path, size: Size) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.create_function("packed_point", 4, lambda *point: packed([point]))
    indexes = [index for table in metadata.tables.values() for index in table.indexes]
    indexes = [index for index in indexes if index.table.name in FILLED]
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-262144", "temp_store=FILE"):
        connection.execute(f"PRAGMA {pragma}")
    for index in indexes:
        connection.execute(f"DROP INDEX {index.name}")
    connection.execute("BEGIN")
    for label, statement in tracking_statements(size):
        timed(label, lambda s=statement: connection.execute(s))
    connection.execute("COMMIT")
    for index in indexes:
        ddl = str(CreateIndex(index).compile(dialect=sqlite.dialect()))
        timed(f"index {index.name}", lambda s=ddl: connection.execute(s))
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def tracking_statements(size: Size) -> Iterator[tuple[str, str]]:
    """What fills tracking, each with a label; in this order."""
    each_run = runs_of(size)
    yield from experiments_and_runs(size, each_run)
    yield from texts_of_runs(size, each_run)
    yield from metrics_of_runs(size, each_run)
    yield from logged_models(size)


def numbers(count: int) -> str:
    return NUMBERS.format(max(count, 1))


def runs_of(size: Size) -> str:
    """A run's number says all about it. Its start is shuffled against its id, as with random ids."""
    others = max(size.experiments - 1, 1)
    return f"""SELECT i, printf('%08x%024x', i * {2**32 // size.runs}, i) AS run_id,
        CASE WHEN i % 10 THEN {BIG_EXPERIMENT} ELSE 2 + (i / 10) % {others} END AS experiment_id,
        {FIRST_MS} + (i * 7919 % {size.runs}) * 1000 AS start_ms FROM n"""


def experiments_and_runs(size: Size, each_run: str) -> Iterator[tuple[str, str]]:
    yield (
        "experiments",
        f"""{numbers(size.experiments)} INSERT INTO experiments
        SELECT i + 1, 'experiment-' || i, 'mlflow-artifacts:/' || (i + 1), 'active', {FIRST_MS} + i, {FIRST_MS} + i FROM n""",
    )
    yield (
        "runs",
        f"""{numbers(size.runs)} INSERT INTO runs
        SELECT run_id, experiment_id, 'run-' || (i * 31 % {size.runs}), 'user-' || (i % 50),
        CASE WHEN i % 33 = 0 THEN 'FAILED' WHEN i % 101 = 0 THEN 'RUNNING' ELSE 'FINISHED' END,
        start_ms, CASE WHEN i % 101 AND i % 33 THEN start_ms + i % 3600000 END,
        CASE WHEN i * 13 % 997 < 50 THEN 'deleted' ELSE 'active' END,
        'mlflow-artifacts:/' || experiment_id || '/' || run_id || '/artifacts', i FROM ({each_run})""",
    )


def texts_of_runs(size: Size, each_run: str) -> Iterator[tuple[str, str]]:
    """Few or many different values, as the key says; every key on every run."""
    values = f"""CASE k WHEN 0 THEN 'seed-' || i WHEN 1 THEN 'only' WHEN 2 THEN 'one-of-10-' || (i * 7 / 3 % 10)
        WHEN 3 THEN 'one-of-1000-' || (i * 7 / 3 % 1000) ELSE CAST({CHANCE.format("i", "k")} AS TEXT) END"""
    yield (
        "params",
        f"""{numbers(size.runs)}, keys(k) AS ({series(size.params)})
        INSERT INTO params (run_id, key, value, experiment_id, start_ms, head)
        SELECT run_id, 'p' || k, {values}, experiment_id, start_ms, substr({values}, 1, {HEAD_LENGTH})
        FROM ({each_run}) CROSS JOIN keys""",
    )
    values = f"""CASE k WHEN 0 THEN printf('%040x', i / 100) WHEN 1 THEN 'run-' || (i * 31 % {size.runs})
        WHEN 2 THEN '/home/user/train.py' WHEN 3 THEN 'user-' || (i % 50) ELSE 'team-' || (i % 20) END"""
    yield (
        "run_tags",
        f"""{numbers(size.runs)}, keys(k, key) AS (VALUES (0, 'git.commit'), (1, 'mlflow.runName'),
        (2, 'mlflow.source.name'), (3, 'mlflow.user'), (4, 'team'))
        INSERT INTO run_tags (run_id, key, value, experiment_id, start_ms, head)
        SELECT run_id, key, {values}, experiment_id, start_ms, substr({values}, 1, {HEAD_LENGTH})
        FROM ({each_run}) CROSS JOIN keys""",
    )


def metrics_of_runs(size: Size, each_run: str) -> Iterator[tuple[str, str]]:
    """m0: all different; m1: the same everywhere; m2: ten values; m3: NaN in one of 100 runs."""
    value = f"CASE k WHEN 1 THEN 1.0 WHEN 2 THEN i % 10 ELSE {CHANCE.format('i', 'k')} END"
    yield (
        "latest_metrics",
        f"""{numbers(size.runs)}, keys(k) AS ({series(size.metrics)})
        INSERT INTO latest_metrics (run_id, key, at_ms, step, value, is_nan, experiment_id, start_ms)
        SELECT run_id, 'm' || k, start_ms + 1000, 0,
        CASE WHEN k = 3 AND i % 100 = 0 THEN 0.0 ELSE {value} END, k = 3 AND i % 100 = 0,
        experiment_id, start_ms FROM ({each_run}) CROSS JOIN keys""",
    )
    yield (
        "metric_tails",
        """INSERT INTO metric_tails (run_id, key, sealed, body)
        SELECT run_id, key, 0, packed_point(at_ms, step, value, is_nan) FROM latest_metrics""",
    )


def logged_models(size: Size) -> Iterator[tuple[str, str]]:
    model = f"""SELECT i, printf('m-%032x', i * 7919 % {max(size.logged_models, 1)}) AS model_id,
        {BIG_EXPERIMENT} AS experiment_id, {FIRST_MS} + i * 1000 AS created_ms FROM n WHERE {size.logged_models}"""
    yield (
        "logged_models",
        f"""{numbers(size.logged_models)} INSERT INTO logged_models
        SELECT model_id, experiment_id, 'model-' || (i % 100), '', printf('%08x%024x', i, i), 'LOGGED_MODEL_READY', '',
        'mlflow-artifacts:/1/models/' || model_id || '/artifacts', 'active', created_ms, created_ms FROM ({model})""",
    )
    for table, entry in (("params", "depth"), ("tags", "team")):
        yield (
            f"logged_model_{table}",
            f"""{numbers(size.logged_models)} INSERT INTO logged_model_{table} (model_id, key, value)
            SELECT model_id, '{entry}', '{entry}-' || (i % 10) FROM ({model})""",
        )
    yield (
        "logged_model_metrics",
        f"""{numbers(size.logged_models)} INSERT INTO logged_model_metrics
        (model_id, key, at_ms, step, run_id, value, is_nan, dataset_name, dataset_digest)
        SELECT model_id, 'auc', created_ms, 0, 'r', {CHANCE.format("i", "3")}, 0, 'test', 'd1' FROM ({model})""",
    )


def series(count: int) -> str:
    # In the order of the texts they become, so that rows come in the order of the primary key.
    return "VALUES " + ", ".join(f"({k})" for k in sorted(range(count), key=str))


def fill_registry(data: Path, size: Size) -> None:
    acts = list(registry_acts(size))
    with open_engine(data, synchronous="OFF") as engine:
        for start in range(0, len(acts), OPERATIONS_PER_UNIT):
            some = acts[start : start + OPERATIONS_PER_UNIT]

            def unit(tx, some=some, start=start):
                for i, act in enumerate(some, start=start):
                    log.append(tx, act, now=Instant(FIRST_MS + i * 100))

            engine.kernel.database.write(unit).result()


def fill_history(data: Path, size: Size) -> None:
    """One long history, of the first run."""
    with open_engine(data, synchronous="OFF") as engine:
        database = engine.kernel.database
        first = database.peek(lambda c: c.execute(select(func.min(runs.c.run_id))).scalar_one())
        run = database.peek(lambda c: run_of(c, first))
        for start in range(0, size.points, POINTS_PER_UNIT):
            some = range(start, min(start + POINTS_PER_UNIT, size.points))
            points = [
                Metric("loss", (i * 2654435761 % 1000003) / 1000003, FIRST_MS + i, i) for i in some
            ]
            database.write(
                lambda tx, points=points: add_metrics(tx, change(tx, run), points)
            ).result()


def registry_acts(size: Size) -> Iterator[Act]:
    """Half of the versions belong to one model; each model has an alias and a version in Production."""
    names = [BIG_MODEL, *(f"model-{i}" for i in range(size.models - 1))]
    rest = size.versions - size.versions // 2
    for i, text in enumerate(names):
        name = ModelName(text)
        yield act("create_model", name, ModelCreated(model=name, tags={"team": f"team-{i % 20}"}))
        first, last = size.versions // 2, max(len(names) - 1, 1)
        count = first if i == 0 else rest // last + (i <= rest % last)
        for number in range(1, count + 1):
            yield registered(name, VersionNumber(number))
        if not count:
            continue
        chosen, ref = VersionNumber(max(count // 2, 1)), RefName("champion")
        yield act(
            "set_alias",
            name,
            RefMoved(model=name, ref=ref, before=None, after=chosen, alias=True),
        )
        moved = StageChanged(model=name, version=chosen, before=Stage.NONE, after=Stage.PRODUCTION)
        yield act("transition_stage", name, moved)


def registered(name: ModelName, number: VersionNumber) -> Act:
    change = VersionRegistered(
        model=name,
        version=number,
        digest=None,
        source=f"s3://bucket/{name}/{number}",
        artifact_uri=f"s3://bucket/{name}/{number}",
        run_id=f"{number:032x}",
        user=f"user-{number % 50}",
        tags={"quality": f"q{number % 10}"},
    )
    return act("register", name, change)


def act(kind, name: ModelName, change) -> Act:
    return Act(
        kind=kind, model=name, actor=Actor(name="generator"), origin=Origin(), changes=(change,)
    )


def timed(label: str, work) -> None:
    began = time.monotonic()
    work()
    print(f"{label:30s} {time.monotonic() - began:7.1f} s", flush=True)


def options() -> tuple[Path, Size, bool]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--fsck", action="store_true", help="verify the registry at the end")
    defaults = {
        "runs": 100_000, "metrics": 20, "params": 10, "experiments": 100,
        "models": 1_000, "versions": 10_000, "logged_models": 10_000, "points": 1_000_000,
    }  # fmt: skip
    for name, default in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    found = vars(parser.parse_args())
    data, check = found.pop("data"), found.pop("fsck")
    return data, Size(**found), check


def main() -> None:
    data, size, check = options()
    if data.exists():
        sys.exit(f"{data} exists already")
    init_data_directory(data)
    timed("registry", lambda: fill_registry(data, size))
    fill_tracking(data / "lastgood.db", size)
    timed("history", lambda: fill_history(data, size))
    if check:
        with open_engine(data) as engine:
            report = fsck(engine.kernel)
        print(
            f"fsck: {report.operations} operations, {report.projections} rows, {len(report.problems)} problems"
        )
        sys.exit(1 if report.problems else 0)


if __name__ == "__main__":
    main()
