"""One place that holds the verbs of an import."""

from lastgood.engine.artifacts import Artifacts
from lastgood.engine.importing.checking import Checking
from lastgood.engine.importing.registry import RegistryImport
from lastgood.engine.importing.tracking import TrackingImport
from lastgood.engine.kernel import Kernel

__all__ = ["Importing"]


class Importing:
    """The verbs of an import.

    Args:
        kernel: The one door through which the registry changes.
        artifacts: Where the files of runs are.
    """

    def __init__(self, kernel: Kernel, artifacts: Artifacts) -> None:
        self.tracking = TrackingImport(kernel, artifacts)
        self.registry = RegistryImport(kernel, artifacts)
        self.checking = Checking(kernel)
