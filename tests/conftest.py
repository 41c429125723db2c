import pytest

from postgresql_server import running_postgresql


@pytest.fixture(scope="session")
def postgresql():
    """A real PostgreSQL server."""
    with running_postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.nightly)])
def store_url(request):
    """The address of a store's database: "" for a file in the data directory, or a schema in PostgreSQL."""
    return "" if request.param == "sqlite" else request.getfixturevalue("postgresql").fresh()
