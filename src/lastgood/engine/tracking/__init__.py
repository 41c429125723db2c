"""Tracking: experiments, runs and logged models, with MLflow's rules.

Nothing here is an operation: what a run logs is evidence, not state of the registry.
"""

from lastgood.engine.tracking.tracking import Tracking

__all__ = ["Tracking"]
