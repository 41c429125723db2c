"""Makes a database of the schema that MLflow 2.22 wrote: python make_old_database.py FILE."""

import sqlite3
import sys

from alembic import command
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase

LAST_OF_2 = "0584bdc529eb"
RUN = "a" * 32

url = f"sqlite:///{sys.argv[1]}"
engine = utils.create_sqlalchemy_engine(url)
InitialBase.metadata.create_all(engine)
config = utils._get_alembic_config(url)
with engine.begin() as connection:
    config.attributes["connection"] = connection
    command.upgrade(config, LAST_OF_2)
engine.dispose()

with sqlite3.connect(sys.argv[1]) as db:
    db.execute(
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time,"
        " last_update_time) VALUES (5, 'old', '/nowhere/5', 'active', 10, 20)"
    )
    db.execute(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,"
        " end_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
        " VALUES (?, 'r', 'LOCAL', '', '', 'ann', 'FINISHED', 1, 2, '', 'active', '/nowhere/5/a/artifacts', 5)",
        (RUN,),
    )
    point = (RUN, "m", 0.5, 7, 3, False)
    for table in ("metrics", "latest_metrics"):
        db.execute(
            f"INSERT INTO {table} (run_uuid, key, value, timestamp, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)",
            point,
        )
    db.execute("INSERT INTO params (run_uuid, key, value) VALUES (?, 'p', 'v')", (RUN,))
    db.execute("INSERT INTO registered_models (name, creation_time) VALUES ('m', 100)")
    db.execute(
        "INSERT INTO model_versions (name, version, creation_time, current_stage, source, run_id, status)"
        " VALUES ('m', 2, 200, 'Production', 'dbfs:/far/model', ?, 'READY')",
        (RUN,),
    )
    db.execute(
        "INSERT INTO registered_model_aliases (name, alias, version) VALUES ('m', 'champion', 2)"
    )
db.close()
