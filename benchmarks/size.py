"""How the size of a registry shows: searches, look-ups, metric history, start and memory.

    python benchmarks/generate.py /data/1m --runs 1000000 --versions 100000 --models 10000 --points 10000000 \
        --experiments 1000 --logged-models 100000
    python benchmarks/size.py /data/10k /data/100k /data/1m

Each kind is asked again and again over HTTP by one client, with other values each time, pages of 100.
Results go to benchmarks/results/size.json, size.md and size.png.
"""

import argparse
import gc
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select

from lastgood.engine.open import open_engine
from lastgood.store.schema import runs, versions
from vs_mlflow import PREFIX, RESULTS, Client, Server, free_port, lastgood_command, running

PAGE = 100
DEEP_PAGES = 20  # pages turned before the page that is measured
REPEATS = 100
SECONDS_PER_KIND = 5.0
TARGET_MS = {"metric history": 100.0, "bulk interval": 100.0}
TARGET_DEFAULT_MS = 50.0
FIRST_MS = 1_700_000_000_000
FEW = [str(i) for i in range(1, 11)]  # experiments
BY_M0 = {"order_by": ["metrics.m0 DESC"]}

Ask = Callable[[Client, int], dict]


def runs_search(make: Callable[[int], dict], experiments: list[str] | None = None) -> Ask:
    ids = experiments or ["1"]

    def ask(client: Client, i: int) -> dict:
        body = {"experiment_ids": ids, "max_results": PAGE} | make(i)
        return client.ok("POST", f"{PREFIX}/runs/search", body)

    return ask


def deep(ask_page: Callable[[Client, int, str], dict]) -> Ask:
    """A later page: it is reached once, then asked for again and again."""
    tokens: dict[int, str] = {}

    def ask(client: Client, _i: int) -> dict:
        if id(client) not in tokens:
            token = ""
            for _ in range(DEEP_PAGES):
                token = ask_page(client, 0, token).get("next_page_token", "") or token
            tokens[id(client)] = token
        return ask_page(client, 0, tokens[id(client)])

    return ask


def deep_runs(make: Callable[[int], dict]) -> Ask:
    return deep(
        lambda c, i, token: (
            runs_search(make)(c, i)
            if not token
            else runs_search(lambda j: make(j) | {"page_token": token})(c, i)
        )
    )


def get(path: str) -> Ask:
    return lambda client, i: client.ok("GET", PREFIX + path.format(i=i))


def post(path: str, body: dict) -> Ask:
    return lambda client, i: client.ok("POST", PREFIX + path, body)


def middle(i: int) -> float:
    """Somewhere among the values, elsewhere each time."""
    return 0.05 + (i * 37 % 90) / 100


def kinds(runs_count: int) -> dict[str, Ask]:
    """What is asked, by what it is called in the results."""
    return {
        **all_runs(),
        **runs_by_metric(),
        **runs_by_param(),
        **runs_by_tag(),
        **runs_by_attribute(runs_count),
        **experiments_and_models(),
        **versions_of_models(),
        **logged_models(),
        **look_ups(),
        **histories(),
    }


def all_runs() -> dict[str, Ask]:
    return {
        "runs: no filter": runs_search(lambda i: {}),
        "runs: no filter, deep": deep_runs(lambda i: {}),
        "runs: no filter, 10 experiments": runs_search(lambda i: {}, FEW),
        "runs: no filter, deleted": runs_search(lambda i: {"run_view_type": "DELETED_ONLY"}),
        "runs: no filter, all": runs_search(lambda i: {"run_view_type": "ALL"}),
    }  # fmt: skip


def runs_by_metric() -> dict[str, Ask]:
    return {
        "runs: metric > x by metric desc": runs_search(lambda i: {"filter": f"metrics.m0 > {middle(i)}"} | BY_M0),
        "runs: metric > x by metric desc, deep": deep_runs(lambda i: {"filter": "metrics.m0 > 0.1"} | BY_M0),
        "runs: metric > x by metric desc, 10 experiments": runs_search(
            lambda i: {"filter": f"metrics.m0 > {middle(i)}"} | BY_M0, FEW
        ),
        "runs: metric > x by metric asc": runs_search(
            lambda i: {"filter": f"metrics.m0 > {middle(i)}", "order_by": ["metrics.m0 ASC"]}
        ),
        "runs: metric > x (half match)": runs_search(lambda i: {"filter": f"metrics.m4 > {0.4 + middle(i) / 5}"}),
        "runs: metric > x (few match)": runs_search(lambda i: {"filter": f"metrics.m4 > {1 - middle(i) / 1000}"}),
        "runs: two metrics": runs_search(
            lambda i: {"filter": f"metrics.m4 > {middle(i)} AND metrics.m5 < {middle(i + 7)}"} | BY_M0
        ),
        "runs: by a metric with one value": runs_search(lambda i: {"order_by": ["metrics.m1 ASC"]}),
        "runs: by a metric with ten values": runs_search(lambda i: {"order_by": ["metrics.m2 ASC"]}),
        "runs: by a metric that is NaN in some": runs_search(lambda i: {"order_by": ["metrics.m3 DESC"]}),
        "runs: by an unknown metric": runs_search(lambda i: {"order_by": ["metrics.unknown DESC"]}),
    }  # fmt: skip


def runs_by_param() -> dict[str, Ask]:
    return {
        "runs: param = (1 of 10)": runs_search(lambda i: {"filter": f"params.p2 = 'one-of-10-{i % 10}'"}),
        "runs: param = (1 of 1000)": runs_search(lambda i: {"filter": f"params.p3 = 'one-of-1000-{i * 7 % 1000}'"}),
        "runs: param = (one run)": runs_search(lambda i: {"filter": f"params.p0 = 'seed-{i * 91 + 1}'"}),
        "runs: param = by metric": runs_search(lambda i: {"filter": f"params.p2 = 'one-of-10-{i % 10}'"} | BY_M0),
        "runs: param = (1 of 1000) by metric": runs_search(
            lambda i: {"filter": f"params.p3 = 'one-of-1000-{i * 7 % 1000}'"} | BY_M0
        ),
        "runs: param = and metric > x by metric": runs_search(
            lambda i: {"filter": f"params.p2 = 'one-of-10-{i % 10}' AND metrics.m0 > {middle(i)}"} | BY_M0
        ),
        "runs: by param": runs_search(lambda i: {"order_by": ["params.p3 ASC"]}),
        "runs: by param with one value": runs_search(lambda i: {"order_by": ["params.p1 ASC"]}),
    }  # fmt: skip


def runs_by_tag() -> dict[str, Ask]:
    return {
        "runs: tag = ": runs_search(lambda i: {"filter": f"tags.team = 'team-{i % 20}'"}),
        "runs: tag LIKE 'x%'": runs_search(lambda i: {"filter": f"tags.team LIKE 'team-{i % 10}%'"}),
        "runs: tag LIKE '%x%' (many match)": runs_search(lambda i: {"filter": f"tags.team LIKE '%-{i % 10}'"}),
        "runs: tag LIKE '%x%' (none match)": runs_search(lambda i: {"filter": f"tags.team LIKE '%none-{i}%'"}),
    }  # fmt: skip


def runs_by_attribute(runs_count: int) -> dict[str, Ask]:
    last_ms = FIRST_MS + runs_count * 1000
    return {
        "runs: start_time range": runs_search(
            lambda i: {"filter": f"attributes.start_time < {FIRST_MS + int(middle(i) * runs_count) * 1000}"}
        ),
        "runs: recent, by metric": runs_search(
            lambda i: {"filter": f"attributes.start_time > {last_ms - 3_600_000}"} | BY_M0
        ),
        "runs: status = ": runs_search(lambda i: {"filter": f"attributes.status = '{('FAILED', 'RUNNING')[i % 2]}'"}),
        "runs: status = by metric": runs_search(lambda i: {"filter": "attributes.status = 'FAILED'"} | BY_M0),
        "runs: user_id = ": runs_search(lambda i: {"filter": f"attributes.user_id = 'user-{i % 50}'"}),
        "runs: name = ": runs_search(lambda i: {"filter": f"attributes.run_name = 'run-{i * 91}'"}),
        "runs: name ILIKE '%x%' (some match)": runs_search(
            lambda i: {"filter": f"attributes.run_name ILIKE '%RUN-{i % 10}%'"}
        ),
        "runs: name ILIKE '%x%' (none match)": runs_search(
            lambda i: {"filter": f"attributes.run_name ILIKE '%none-{i}%'"}
        ),
        "runs: by name": runs_search(lambda i: {"order_by": ["attributes.run_name ASC"]}),
        "runs: by end_time": runs_search(lambda i: {"order_by": ["attributes.end_time DESC"]}),
        "runs: by status, then metric": runs_search(
            lambda i: {"order_by": ["attributes.status ASC", "metrics.m0 DESC"]}
        ),
        "runs: by metric, then param": runs_search(lambda i: {"order_by": ["metrics.m0 DESC", "params.p3 ASC"]}),
        "runs: page of 1000": runs_search(lambda i: {"max_results": 1000}),
    }  # fmt: skip


def experiments_and_models() -> dict[str, Ask]:
    return {
        "experiments: no filter": post("/experiments/search", {"max_results": PAGE}),
        "experiments: name LIKE": post("/experiments/search", {"max_results": PAGE, "filter": "name LIKE 'experiment-9%'"}),
        "models: no filter": get("/registered-models/search?max_results=100"),
        "models: name LIKE": get("/registered-models/search?max_results=100&filter=name+LIKE+%27model-9%25%27"),
        "models: tag = ": get("/registered-models/search?max_results=100&filter=tags.team+%3D+%27team-3%27"),
        "models: last changed": get("/registered-models/search?max_results=100&order_by=last_updated_timestamp+DESC"),
    }  # fmt: skip


def versions_of_models() -> dict[str, Ask]:
    return {
        "versions: no filter": get("/model-versions/search?max_results=100"),
        "versions: of one model": get("/model-versions/search?max_results=100&filter=name+%3D+%27big%27"),
        "versions: run_id = ": get("/model-versions/search?max_results=100&filter=run_id+%3D+%27{i:032x}%27"),
        "versions: tag = ": get("/model-versions/search?max_results=100&filter=tags.quality+%3D+%27q3%27"),
        "versions: by number": get("/model-versions/search?max_results=100&order_by=version_number+DESC"),
    }  # fmt: skip


def logged_models() -> dict[str, Ask]:
    return {
        "logged models: no filter": post("/logged-models/search", {"experiment_ids": ["1"], "max_results": 50}),
        "logged models: metric > x by metric": post(
            "/logged-models/search",
            {
                "experiment_ids": ["1"],
                "max_results": 50,
                "filter": "metrics.auc > 0.5",
                "order_by": [{"field_name": "metrics.auc", "ascending": False}],
            },
        ),
        "logged models: param =": post(
            "/logged-models/search", {"experiment_ids": ["1"], "max_results": 50, "filter": "params.depth = 'depth-3'"}
        ),
    }  # fmt: skip


def look_ups() -> dict[str, Ask]:
    return {
        "latest versions": post("/registered-models/get-latest-versions", {"name": "big"}),
        "alias": get("/registered-models/alias?name=big&alias=champion"),
        "registered model": get("/registered-models/get?name=big"),
        "version": get("/model-versions/get?name=big&version=17"),
    }  # fmt: skip


def histories() -> dict[str, Ask]:
    return {
        "metric history": get(f"/metrics/get-history?run_id={'0' * 32}&metric_key=loss&max_results=1000"),
        "metric history, deep": deep(
            lambda c, i, token: c.ok(
                "GET",
                f"{PREFIX}/metrics/get-history?run_id={'0' * 32}&metric_key=loss&max_results=1000&page_token={token}",
            )
        ),
        "bulk interval": get(
            f"/metrics/get-history-bulk-interval?run_ids={'0' * 32}&metric_key=loss&max_results=320"
        ),
    }  # fmt: skip


class Stopwatch(Client):
    """Notes how long an answer took until its last byte: to read its JSON is not the server's work."""

    took_s = 0.0

    def call(self, method: str, path: str, body: dict | None = None) -> tuple[int, bytes]:
        began = time.monotonic()
        answer = super().call(method, path, body)
        self.took_s = time.monotonic() - began
        return answer


def measured(client: Stopwatch, ask: Ask) -> dict:
    ask(client, 0)
    latencies, found, end = [], 0, time.monotonic() + SECONDS_PER_KIND
    for i in range(REPEATS):
        answer = ask(client, i)
        latencies.append(client.took_s)
        found = max(found, *(len(v) for v in answer.values() if isinstance(v, list)), 0)
        if time.monotonic() > end:
            break
    latencies.sort()
    return {
        "p50_ms": 1000 * statistics.median(latencies),
        "p99_ms": 1000 * latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))],
        "asked": len(latencies),
        "found": found,
    }


def sizes_of(data: Path) -> dict:
    with open_engine(data) as engine:

        def query(connection):
            return {
                "runs": connection.execute(select(func.count()).select_from(runs)).scalar_one(),
                "versions": connection.execute(
                    select(func.count()).select_from(versions)
                ).scalar_one(),
            }

        return engine.kernel.database.read(query)


def measure_size(data: Path, only: list[str]) -> dict:
    report = sizes_of(data) | {"bytes": (data / "lastgood.db").stat().st_size, "kinds": {}}
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = lastgood_command(Path(folder), port)
        command[-1] = str(data)
        with running("lastgood", command, port, Path(folder)) as server:
            report["ready_s"] = server.ready_s
            report["memory_mib"] = server.memory_mib()
            for name, result in asked(server, report["runs"], only):
                report["kinds"][name] = result
            report["memory_after_mib"] = server.memory_mib()
    return report


def asked(server: Server, runs_count: int, only: list[str]) -> Iterator[tuple[str, dict]]:
    for name, ask in kinds(runs_count).items():
        if only and not any(part in name for part in only):
            continue
        result = measured(Stopwatch(server.port), ask)
        over = "" if result["p99_ms"] <= TARGET_MS.get(name, TARGET_DEFAULT_MS) else "  over"
        print(
            f"{runs_count:9,d} {name:50s} p50 {result['p50_ms']:9.2f}  p99 {result['p99_ms']:9.2f} ms  found {result['found']}{over}",
            flush=True,
        )
        yield name, result


def markdown(reports: list[dict]) -> str:
    lines = [
        "# What the size of a registry costs",
        "",
        f"{datetime.now(tz=UTC):%Y-%m-%d}, {platform.machine()}, {platform.system()}, SQLite; one client, pages of {PAGE}, p50 / p99 in ms.",
        "Made by benchmarks/generate.py and benchmarks/size.py; the same as a plot in size.png.",
        "",
        "| | "
        + " | ".join(f"{r['runs']:,} runs, {r['versions']:,} versions" for r in reports)
        + " |",
        "|---|" + "---|" * len(reports),
    ]
    for label, key, form in (
        ("database, MiB", "bytes", lambda v: f"{v / 2**20:,.0f}"),
        ("start to first answer, s", "ready_s", lambda v: f"{v:.2f}"),
        ("memory idle, MiB", "memory_mib", lambda v: f"{v:,.0f}"),
        ("memory after all of this, MiB", "memory_after_mib", lambda v: f"{v:,.0f}"),
    ):
        lines.append(f"| {label} | " + " | ".join(form(r[key]) for r in reports) + " |")
    for name in reports[-1]["kinds"]:
        cells = [r["kinds"].get(name) for r in reports]
        shown = [f"{c['p50_ms']:.1f} / {c['p99_ms']:.1f}" if c else "" for c in cells]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def plot(reports: list[dict], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 7))
    slowest = sorted(reports[-1]["kinds"], key=lambda name: -reports[-1]["kinds"][name]["p99_ms"])
    for name in slowest:
        known = [(r["runs"], r["kinds"][name]["p99_ms"]) for r in reports if name in r["kinds"]]
        named = name in slowest[:10]
        axes.plot(*zip(*known, strict=True), marker="o", label=name if named else None,
                  color=None if named else "#cccccc", zorder=2 if named else 1)  # fmt: skip
    axes.axhline(
        TARGET_DEFAULT_MS, color="black", linestyle=":", label=f"{TARGET_DEFAULT_MS:.0f} ms"
    )
    axes.set(
        xscale="log", yscale="log", xlabel="runs", ylabel="p99, ms", title="First page of a search"
    )
    axes.legend(fontsize=8, loc="upper left")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="made by generate.py, smallest first")
    parser.add_argument("--only", nargs="*", default=[], help="kinds whose name holds one of these")
    options = parser.parse_args()
    # Else the client looks through all that it imported for garbage, every hundred answers or so: 50 ms of its own.
    gc.collect()
    gc.freeze()
    reports = [measure_size(data.resolve(), options.only) for data in options.data]
    if options.only:
        return
    (RESULTS / "size.json").write_text(json.dumps(reports, indent=1) + "\n")
    (RESULTS / "size.md").write_text(markdown(reports))
    plot(reports, RESULTS / "size.png")


if __name__ == "__main__":
    main()
