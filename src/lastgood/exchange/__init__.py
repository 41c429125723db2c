"""Moving a whole MLflow store here, and back: what `lastgood import` and `lastgood export` do.

Reading and writing MLflow's stores happens in the process of the command, with the installed `mlflow`
library; the registry itself never opens an address.
"""
