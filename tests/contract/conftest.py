import uuid

import pytest

from contract.object_stores import AZURITE, environment, in_azure, in_s3, running_azure, running_s3
from contract.registry_doors import CONFIG, Door, running_server
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.sdk import RemoteRegistry


@pytest.fixture(scope="session")
def local_data(tmp_path_factory):
    return _data(tmp_path_factory)


@pytest.fixture(scope="session")
def server_data(tmp_path_factory):
    return _data(tmp_path_factory)


@pytest.fixture(scope="session")
def server_url(server_data):
    with running_server(server_data) as url:
        yield url


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory):
    with running_s3(tmp_path_factory.mktemp("s3")) as endpoint:
        yield endpoint


@pytest.fixture
def s3_store(s3_endpoint, monkeypatch):
    """A place of its own in a real S3 server, which the environment leads to."""
    for name, value in environment(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    return in_s3(uuid.uuid4().hex)


@pytest.fixture(scope="session")
def azure_environment(tmp_path_factory):
    if not AZURITE.exists():
        pytest.skip("Azurite is not installed: run make nightly, which needs npm")
    with running_azure(tmp_path_factory.mktemp("azure")) as variables:
        yield variables


@pytest.fixture
def azure_store(azure_environment, monkeypatch):
    """A place of its own in Microsoft's server for tests, which the environment leads to."""
    for name, value in azure_environment.items():
        monkeypatch.setenv(name, value)
    return in_azure(uuid.uuid4().hex)


@pytest.fixture(scope="session")
def postgresql_local_data(tmp_path_factory, postgresql):
    return _data(tmp_path_factory, postgresql.fresh())


@pytest.fixture(scope="session")
def postgresql_server_data(tmp_path_factory, postgresql):
    return _data(tmp_path_factory, postgresql.fresh())


@pytest.fixture(scope="session")
def postgresql_server_url(postgresql_server_data):
    with running_server(postgresql_server_data) as url:
        yield url


@pytest.fixture(params=["", "postgresql_"], ids=["sqlite", "postgresql"])
def store(request):
    """The prefix of the fixtures of each kind of database."""
    return request.param


@pytest.fixture(params=["in process", "over http"])
def door(request, store):
    """The registry by each of its doors; every test has a model of its own in it."""
    if request.param == "in process":
        data = request.getfixturevalue(f"{store}local_data")
        with open_engine(data) as engine:
            yield Door(registry=engine.registry, data=data, kind=request.param)
    else:
        data = request.getfixturevalue(f"{store}server_data")
        url = request.getfixturevalue(f"{store}server_url")
        with RemoteRegistry(url, actor="Ana Müller") as registry:
            yield Door(registry=registry, data=data, kind=request.param)


def _data(tmp_path_factory, store_url=""):
    data = tmp_path_factory.mktemp("registry") / "data"
    init_data_directory(data, store_url=store_url)
    place = f'[store]\nurl = "{store_url}"\n' if store_url else ""
    (data / "config.toml").write_text(place + CONFIG)
    return data
