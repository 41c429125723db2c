"""lastgood in a training script: `lastgood.register`, `lastgood.log_model` and `lastgood.run`.

With or without a server: the registry is a data directory, opened in process, or one behind a URL.
"""

from lastgood.library.place import open_registry
from lastgood.library.runs import Run, run
from lastgood.library.versions import log_model, register

__all__ = ["Run", "log_model", "open_registry", "register", "run"]
