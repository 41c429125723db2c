"""The registry from Python: the same verbs as the command line, over HTTP.

from lastgood.sdk import RemoteRegistry, register_path

with RemoteRegistry("http://127.0.0.1:5000", actor="ci") as registry:
    register_path(registry, Path("model"), model="churn", caller=registry.caller())
    print(registry.show("churn/1").digest)
"""

from lastgood.sdk.bundle import Bundle, Described, read_bundle, register_path
from lastgood.sdk.client import RemoteRegistry

__all__ = ["Bundle", "Described", "RemoteRegistry", "read_bundle", "register_path"]
