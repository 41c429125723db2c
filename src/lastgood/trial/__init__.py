"""Trying a model out in a process that is thrown away afterwards: load it, let it answer, look at what it takes.

A model is code. It runs here, in a process group of its own with a time limit, never in the registry
and never in the process that asks.
"""

from lastgood.trial.interpreter import Installed, look_into
from lastgood.trial.process import Trial, TrialOrder, TrialReport, mlflow_is_here

__all__ = ["Installed", "Trial", "TrialOrder", "TrialReport", "look_into", "mlflow_is_here"]
