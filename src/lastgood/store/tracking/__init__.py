"""Experiments, runs, metrics, logged models and the mutable artifacts of runs, as SQL."""
