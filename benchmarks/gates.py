"""How long the gates of a promotion take for a model with 100 versions: python benchmarks/gates.py"""

import hashlib
import statistics
import tempfile
import time
from pathlib import Path

from lastgood.core.commands import Caller, CheckGates, Promote, Register, SetPolicy
from lastgood.core.manifest import DataInput, FileEntry, Manifest
from lastgood.core.operations import Actor
from lastgood.engine.open import init_data_directory, open_engine

RESULTS = Path(__file__).parent / "results" / "gates.md"
VERSIONS = 100
ROUNDS = 50
CALLER = Caller(actor=Actor(name="bench"))
SIGNATURE = '{"inputs":[{"name":"a","required":true,"type":"double"}]}'
POLICY = """
[environments.staging]
[environments.production]
gates = [
  { type = "metric", metric = "auc", min = 0.1 },
  { type = "better_than_live", metric = "auc", data = "holdout" },
  { type = "signature" },
  { type = "tags", required = ["team"] },
  { type = "came_through" },
  { type = "any_of", gates = [{ type = "evidence", evidence = "load_test" }, { type = "metric", metric = "auc", max = 2.0 }] },
]
"""


def main():
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        init_data_directory(data)
        with open_engine(data) as engine:
            registry = engine.registry
            for number in range(1, VERSIONS + 1):
                register(engine, number)
                for to in ("staging", "production"):
                    promote(registry, number, to)
            registry.set_policy(SetPolicy(text=POLICY), caller=CALLER)
            register(engine, VERSIONS + 1)
            promote(registry, VERSIONS + 1, "staging")
            cold = timed(lambda: check(registry))
            warm = [timed(lambda: check(registry)) for _ in range(ROUNDS)]
            act = timed(lambda: promote(registry, VERSIONS + 1, "production"))
    lines = [
        "# Gates",
        "",
        f"A model with {VERSIONS} versions, each once in staging and in production; a policy with six gates, in process.",
        "",
        "| work | ms |",
        "|---|---|",
        f"| all gates, first time (manifests are read) | {cold:.1f} |",
        f"| all gates, median of {ROUNDS} | {statistics.median(warm):.1f} |",
        f"| all gates, slowest of {ROUNDS} | {max(warm):.1f} |",
        f"| promote, with the gates, the bytes hashed, durable | {act:.1f} |",
        "",
    ]
    RESULTS.write_text("\n".join(lines))
    print("\n".join(lines))


def register(engine, number):
    content = b"weights %d" % number
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    engine.kernel.objects.put_bytes(content)
    manifest = Manifest(
        files=(FileEntry(path="model.bin", digest=digest, size=len(content)),),
        metrics={"auc": 0.5 + number / 1000},
        data=(DataInput(name="holdout", digest="d", context="test"),),
        signature=SIGNATURE,
    )
    command = Register(model="churn", manifest=manifest, tags={"team": "crm"})
    engine.registry.register(command, caller=CALLER)


def promote(registry, number, to):
    registry.promote(Promote(reference=f"churn/{number}", to=to, reason="b"), caller=CALLER)


def check(registry):
    view = registry.check(
        CheckGates(reference=f"churn/{VERSIONS + 1}", to="production"), caller=CALLER
    )
    assert view.allowed, view.blocking


def timed(work):
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main()
