"""What the control plane takes: live --at over a long log, a rollback with everything warm, a diff.

    python benchmarks/control.py [--operations 1000000] [--data DIR]

All three are asked in process, on one data directory: a log of that many operations, all of them moves of one
model's three refs (the worst case for looking back), and beside it a model whose versions are stored.
With --data a directory that was made before is used again. Results go to benchmarks/results/control.{json,md}.
"""

import argparse
import hashlib
import io
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lastgood.core.changes import ModelCreated, RefMoved, VersionRegistered
from lastgood.core.commands import Caller, MarkVersion, Promote, Register, Rollback
from lastgood.core.ids import Instant, ModelName, RefName, VersionNumber, digest_of_hex
from lastgood.core.manifest import Environment, FileEntry, Manifest
from lastgood.core.operations import Act, Actor, Origin
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.errors import NotFound
from lastgood.store import log

RESULTS = Path(__file__).parent / "results"
TARGET_MS = {"live --at": 10.0, "rollback": 20.0, "diff": 300.0}
FIRST_MS = 1_700_000_000_000
STEP_MS = 1000
REFS = ("production", "staging", "champion")
VERSIONS = 100
OPERATIONS_PER_UNIT = 5000
REPEATS = {"live --at": 2000, "rollback": 100, "diff": 50}
FILES, FILE_SIZE = 20, 50_000
MODEL, WARM = ModelName("busy"), ModelName("warm")
CALLER = Caller(actor=Actor(name="benchmark"))


def acts(count: int):
    yield "create_model", ModelCreated(model=MODEL)
    for number in range(1, VERSIONS + 1):
        yield "register", VersionRegistered(model=MODEL, version=VersionNumber(number), digest=None)
    before: dict[str, int] = {}
    for i in range(count - VERSIONS - 1):
        ref, number = REFS[i % len(REFS)], 1 + (i * 7919) % VERSIONS
        yield (
            "promote",
            RefMoved(
                model=MODEL, ref=RefName(ref), before=before.get(ref), after=VersionNumber(number)
            ),
        )
        before[ref] = number


def fill(data: Path, count: int) -> None:
    init_data_directory(data)
    began, made, position = time.monotonic(), acts(count), 0
    with open_engine(data, synchronous="OFF") as engine:
        while position < count:

            def unit(tx, start=position):
                for i in range(start, min(start + OPERATIONS_PER_UNIT, count)):
                    kind, change = next(made)
                    act = Act(
                        kind=kind,
                        model=MODEL,
                        actor=CALLER.actor,
                        origin=Origin(),
                        changes=(change,),
                    )
                    log.append(tx, act, now=Instant(FIRST_MS + i * STEP_MS))

            engine.kernel.database.write(unit).result()
            position += OPERATIONS_PER_UNIT
            if position % 100_000 == 0:
                print(f"{position:,} operations, {time.monotonic() - began:.0f} s", flush=True)


def register_warm(registry) -> None:
    for number in (1, 2):
        entries = []
        for index in range(FILES):
            content = random.Random(f"{number} {index}").randbytes(FILE_SIZE)
            digest = digest_of_hex(hashlib.sha256(content).hexdigest())
            registry.put_object(io.BytesIO(content), digest=digest)
            entries.append(FileEntry(path=f"part-{index:02}", digest=digest, size=FILE_SIZE))
        manifest = Manifest(
            files=tuple(entries),
            params={f"p{i}": str(i * number) for i in range(100)},
            metrics={f"m{i}": float(i * number) for i in range(50)},
            environment=Environment(
                python="3.11.7", packages=tuple(f"package-{i}=={number}.{i}" for i in range(300))
            ),
        )
        registry.register(Register(model=WARM, manifest=manifest), caller=CALLER)
    registry.promote(Promote(reference=f"{WARM}/1", to="production", reason="x"), caller=CALLER)
    registry.mark(MarkVersion(reference=f"{WARM}/1", value="good"), caller=CALLER)


def measured(count: int, ask: Callable[[int], object], *, before=lambda i: None) -> list[float]:
    found = []
    for i in range(count):
        before(i)
        began = time.perf_counter()
        ask(i)
        found.append((time.perf_counter() - began) * 1000)
    return found


def measure(data: Path, operations: int) -> dict[str, list[float]]:
    chance = random.Random(7)
    with open_engine(data) as engine:
        registry = engine.registry
        try:
            registry.versions(WARM)
        except NotFound:
            register_warm(registry)
        bad = Promote(reference=f"{WARM}/2", to="production", reason="bad", release_hold=True)
        return {
            "live --at": measured(
                REPEATS["live --at"],
                lambda _: registry.live(
                    MODEL, at=Instant(FIRST_MS + chance.randrange(operations * STEP_MS))
                ),
            ),
            "rollback": measured(
                REPEATS["rollback"],
                lambda _: registry.rollback(Rollback(model=WARM, reason="worse"), caller=CALLER),
                before=lambda _: registry.promote(bad, caller=CALLER),
            ),
            "diff": measured(REPEATS["diff"], lambda _: registry.diff(f"{WARM}/1", f"{WARM}/2")),
        }


def summary(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    return {"median_ms": statistics.median(times), "p99_ms": cuts[98], "max_ms": max(times)}


def write_results(results: dict[str, list[float]], operations: int, load: float) -> None:
    figures = {name: summary(times) for name, times in results.items()}
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "load_before": round(load, 2),
        "operations": operations,
        "figures": figures,
        "targets_ms": TARGET_MS,
    }
    (RESULTS / "control.json").write_text(json.dumps(document, indent=2) + "\n")
    rows = [
        f"| {name} | {f['median_ms']:.2f} | {f['p99_ms']:.2f} | {f['max_ms']:.2f} | {TARGET_MS[name]:g} |"
        for name, f in figures.items()
    ]
    text = f"""# The control plane

Made by `python benchmarks/control.py` at {document["at"]} on {document["machine"]}; load of the machine before: {load:.1f}.
In process, SQLite with `synchronous=FULL`, {operations:,} operations in the log.

- **live --at**: all refs of a model whose three refs made all those moves, at a random moment.
- **rollback**: to the version marked good, {FILES} files of {FILE_SIZE:,} bytes read and hashed, until the operation is durable.
- **diff**: two versions with 100 parameters, 50 metrics and 300 packages that differ.

| | median ms | p99 ms | max ms | target ms |
|---|---|---|---|---|
{chr(10).join(rows)}

The target of `live --at` is for the p99, the others for the median.
"""
    (RESULTS / "control.md").write_text(text)
    print(text)


@contextmanager
def directory(given: Path | None):
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with directory(options.data) as data:
        if not data.exists():
            fill(data, options.operations)
        write_results(measure(data, options.operations), options.operations, load)


if __name__ == "__main__":
    main()
