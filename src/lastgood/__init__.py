"""Version control for models in production.

import lastgood

with lastgood.run() as run:
    run.log_params({"depth": 6})
    run.log_data("train.csv")
    run.log_model(model, "churn", input_example=rows[:5], metrics={"auc": 0.87})
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lastgood.library import Run, log_model, open_registry, register, run

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "log_model", "open_registry", "register", "run"]

_LIBRARY = frozenset({"Run", "log_model", "open_registry", "register", "run"})


def __getattr__(name: str) -> Any:
    # Imported when first used: every command and every worker imports this module.
    if name not in _LIBRARY:
        raise AttributeError(f"module 'lastgood' has no attribute '{name}'")
    from lastgood import library

    return getattr(library, name)
