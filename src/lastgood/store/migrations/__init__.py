"""Schema migrations: expand before, contract after, never both in one release.

A new database is made from `schema.metadata` at once; a test proves that running all migrations
gives exactly that schema.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from lastgood.store.database import Database

__all__ = ["configuration", "upgrade"]


def configuration() -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def upgrade(database: Database) -> None:
    """Run the migrations that the database lacks, in one transaction.

    Raises:
        LookupError: the database has a revision that is not known here.
    """
    config = configuration()

    def run(tx: object) -> None:
        config.attributes["connection"] = tx
        command.upgrade(config, "head")

    try:
        ScriptDirectory.from_config(config).walk_revisions("base", "head")
        database.write(run).result()
    except CommandError as error:
        raise LookupError(str(error)) from error
