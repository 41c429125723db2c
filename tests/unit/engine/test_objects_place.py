"""A data directory remembers where its objects are."""

import tomllib

import pytest

from lastgood.engine.open import init_data_directory, open_engine
from lastgood.engine.settings import Settings, default_config, load_settings
from lastgood.errors import InvalidInput


@pytest.fixture
def url(tmp_path):
    return f"file://{tmp_path}/big-disk"


def test_a_new_config_file_says_the_defaults(tmp_path):
    (tmp_path / "config.toml").write_text(default_config(objects_url=""))
    assert load_settings(tmp_path / "config.toml") == Settings()
    assert set(tomllib.loads(default_config(objects_url=""))) == {"good", "webhooks"}


def test_a_new_config_file_says_where_the_objects_are(tmp_path):
    (tmp_path / "config.toml").write_text(default_config(objects_url="s3://bucket/{a}"))
    assert load_settings(tmp_path / "config.toml").objects.url == "s3://bucket/{a}"


@pytest.mark.parametrize(
    "text",
    [
        "[objects]\nurls = 'x'",
        "[objects]\nurl = 7",
        "[object]\nurl = 's3://bucket'",
        "[webhooks]\nreach = 'far'",
    ],
)
def test_a_mistake_in_the_config_file_is_refused(tmp_path, text):
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(InvalidInput):
        load_settings(tmp_path / "config.toml")


def test_who_opens_the_directory_finds_its_objects(tmp_path, url):
    data = tmp_path / "data"
    assert init_data_directory(data, objects_url=url + "/")
    with open_engine(data) as engine:
        digest = engine.kernel.objects.put_bytes(b"model")
    with open_engine(data) as engine:
        assert engine.kernel.objects.verify(digest) == 5
    assert not (data / "objects").exists()
    assert (tmp_path / "big-disk" / "sha256").is_dir()


def test_without_a_url_the_objects_are_in_the_directory(tmp_path):
    init_data_directory(tmp_path / "data")
    with open_engine(tmp_path / "data") as engine:
        engine.kernel.objects.put_bytes(b"model")
    assert len(list((tmp_path / "data" / "objects" / "sha256").iterdir())) == 1


def test_a_config_file_that_was_there_before_is_followed(tmp_path, url):
    data = tmp_path / "data"
    data.mkdir()
    (data / "config.toml").write_text(f'[objects]\nurl = "{url}"\n')
    assert init_data_directory(data)
    assert (tmp_path / "big-disk").is_dir()


def test_naming_the_same_place_again_is_harmless(tmp_path, url):
    assert init_data_directory(tmp_path / "data", objects_url=url)
    assert not init_data_directory(tmp_path / "data", objects_url=url)
    assert not init_data_directory(tmp_path / "data")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_objects_do_not_move_by_being_named_elsewhere(tmp_path, url, elsewhere):
    data = tmp_path / "data"
    init_data_directory(data, objects_url=f"file://{tmp_path}/elsewhere" if elsewhere else "")
    text = (data / "config.toml").read_text()
    with pytest.raises(InvalidInput, match="big-disk"):
        init_data_directory(data, objects_url=url)
    assert (data / "config.toml").read_text() == text
    assert not (tmp_path / "big-disk").exists()


def test_a_config_file_that_was_lost_does_not_move_them_either(tmp_path, url):
    init_data_directory(tmp_path / "data")
    (tmp_path / "data" / "config.toml").unlink()
    with pytest.raises(InvalidInput):
        init_data_directory(tmp_path / "data", objects_url=url)
