import pytest

from postgresql_server import running_postgresql


@pytest.fixture(scope="session")
def postgresql():
    """A real PostgreSQL server."""
    with running_postgresql() as server:
        yield server
