"""Alembic runs this file; the connection is handed over by `upgrade`."""

from alembic import context

from lastgood.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
