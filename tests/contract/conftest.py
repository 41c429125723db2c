import uuid

import pytest

from contract.object_stores import environment, in_s3, running_s3
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


@pytest.fixture(params=["in process", "over http"])
def door(request):
    """The registry by each of its doors; every test has a model of its own in it."""
    if request.param == "in process":
        data = request.getfixturevalue("local_data")
        with open_engine(data) as engine:
            yield Door(registry=engine.registry, data=data, kind=request.param)
    else:
        data = request.getfixturevalue("server_data")
        with RemoteRegistry(request.getfixturevalue("server_url"), actor="Ana Müller") as registry:
            yield Door(registry=registry, data=data, kind=request.param)


def _data(tmp_path_factory):
    data = tmp_path_factory.mktemp("registry") / "data"
    init_data_directory(data)
    (data / "config.toml").write_text(CONFIG)
    return data
