import sys

import crash_worker
import pytest
from crash_harness import STRACE, Nursery, Reference


@pytest.fixture(scope="session")
def strace():
    if STRACE is None:
        pytest.skip("strace is not installed: faults cannot be injected (apt-get install strace)")
    if not sys.platform.startswith("linux"):
        pytest.skip("strace works on Linux only")


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    data = tmp_path_factory.mktemp("template") / "data"
    crash_worker.prepare(data)
    return data


@pytest.fixture(scope="session")
def references(tmp_path_factory, template):
    root = tmp_path_factory.mktemp("references")
    return {
        "release": Reference.of(root, acts="release", template=template),
        "begin": Reference.of(root, acts="begin", template=None),
    }


@pytest.fixture(scope="session")
def nursery(tmp_path_factory, strace):
    opened = Nursery(tmp_path_factory.mktemp("workers"))
    yield opened
    opened.close()
