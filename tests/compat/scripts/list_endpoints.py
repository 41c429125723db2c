"""Every endpoint of MLflow's own server, as JSON: method and path, one of its parameters filled in."""

import json
import re

from mlflow.server import app
from mlflow.server.fastapi_app import create_fastapi_app


def _plain(path):
    return re.sub(r"<[^>]*>|\{[^}]*\}", "x", path)


found = {(m, _plain(rule.rule)) for rule in app.url_map.iter_rules() for m in rule.methods}
for route in create_fastapi_app().routes:
    found |= {(method, _plain(route.path)) for method in getattr(route, "methods", None) or ()}
print("ENDPOINTS", json.dumps(sorted(found)))
