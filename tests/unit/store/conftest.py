import uuid

import pytest

from lastgood.core.operations import Act, Actor, Origin
from lastgood.store import log
from lastgood.store.address import parse_address
from lastgood.store.open import open_database


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lastgood.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request, tmp_path):
    """Makes places where a store can be: every test that needs one runs over each kind."""
    if request.param == "sqlite":
        return lambda: tmp_path / f"{uuid.uuid4().hex}.db"
    server = request.getfixturevalue("postgresql")
    return lambda: parse_address(server.fresh())


@pytest.fixture
def place(new_place):
    return new_place()


@pytest.fixture
def database(place):
    opened = open_database(place)
    yield opened
    opened.close()


@pytest.fixture
def act():
    """Builds an act; `append` puts it into a database's log."""

    def build(*changes, model="churn", kind="promote", key="", reason=""):
        return Act(
            kind=kind,
            model=model,
            actor=Actor(name="ann"),
            origin=Origin(),
            reason=reason,
            changes=changes,
            idempotency_key=key,
        )

    return build


@pytest.fixture
def append(database):
    def write(built, *, now=1000, expect=None):
        return database.write(lambda tx: log.append(tx, built, now=now, expect=expect)).result()

    return write
