"""Looks at a registry again and again, from another process, until its standard input closes."""

import select
import sys
from pathlib import Path

from lastgood.engine.open import open_engine

MODELS = tuple(f"churn-{n}" for n in range(4))
GOOD, BAD = 2, 3


def flaws(versions):
    """What no single snapshot may show: `versions` are all of one model, as one call returned them."""
    live = [v.version for v in versions if "production" in v.refs]
    labelled = [v.version for v in versions if v.stage == "Production"]
    held = [v.version for v in versions if v.holds]
    if len(live) != 1 or live != labelled:
        yield f"production is {live}, labelled Production are {labelled}"
    if held != ([BAD] if live == [GOOD] else []):
        yield f"production is {live}, on hold are {held}"


def look(registry, model):
    """One look at a model through both calls that show its state."""
    found = list(flaws(registry.versions(model)))
    found += [
        f"live shows {live}" for live in registry.live(model) if live.version not in {GOOD, BAD}
    ]
    return found


def main():
    looks, wrong = 0, []
    with open_engine(Path(sys.argv[1])) as engine:
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            for model in MODELS:
                wrong += look(engine.registry, model)
                looks += 1
    print(looks, len(wrong), *wrong[:1])


if __name__ == "__main__":
    main()
