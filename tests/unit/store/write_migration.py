"""Writes the next migration: what `store.schema` has and the migrations so far do not give.

    python tests/unit/store/write_migration.py "what changes"

Read what it wrote and set SCHEMA_REVISION in src/lastgood/store/open.py.
The first revision, which nothing released depends on yet, is written anew with --baseline.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from alembic import command

from lastgood.store import migrations

VERSIONS = Path(migrations.__file__).parent / "versions"


def write(message, revision):
    """Compare a database that all migrations made with the schema, and write the difference."""
    config = migrations.configuration()
    with tempfile.TemporaryDirectory() as folder:
        engine = sa.create_engine(f"sqlite:///{folder}/migrated.db")
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            command.revision(config, message, autogenerate=True, rev_id=revision)
            connection.rollback()
        engine.dispose()
    (file,) = VERSIONS.glob(f"{revision}_*.py")
    lines = [line for line in file.read_text().splitlines() if "# ###" not in line]
    file.write_text("\n".join(lines) + "\n")
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", str(file)], check=True)


def main():
    baseline = "--baseline" in sys.argv
    if baseline:
        for file in VERSIONS.glob("*.py"):
            file.unlink()
    revision = f"{len(list(VERSIONS.glob('[0-9]*.py'))) + 1:04}"
    write("initial" if baseline else sys.argv[1], revision)


if __name__ == "__main__":
    main()
