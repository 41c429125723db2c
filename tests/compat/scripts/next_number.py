"""Registers one more version and prints its number: python next_number.py TRACKING_URI MODEL."""

import sys

from mlflow.tracking._model_registry.client import ModelRegistryClient

registry = ModelRegistryClient(sys.argv[1], sys.argv[1])
print(registry.create_model_version(sys.argv[2], "s3://somewhere/else").version)
