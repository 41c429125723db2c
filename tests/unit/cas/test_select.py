"""Which object store a location means."""

import subprocess
import sys

import pytest

from lastgood.cas.local import LocalObjects
from lastgood.cas.remote import RemoteObjects
from lastgood.cas.select import check_url, open_objects
from lastgood.errors import InvalidInput


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/a/b c/ü", None),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("gs://bucket/a", "gs://bucket/a"),
        ("az://container/a", "az://container/a"),
        ("file:///mnt/my objects", "file:///mnt/my objects"),
    ],
)
def test_urls_of_objects(url, checked):
    if checked is None:
        with pytest.raises(InvalidInput):
            check_url(url)
    else:
        assert check_url(url) == checked


OTHER_WORDS = """
bucket|/mnt/objects|s3:bucket|s3://|s3:///a|s3://bucket//a|s3://bucket/../a|s3://bucket/./a|http://bucket/a
ftp://bucket|file://host/a|file:///|S3://bucket|s3://bucket/"[good]|s3://bucket/a\\b|s3://bucket/\x00
file:///mnt/../etc|memory:///|s3://bucket/a b
"""


@pytest.mark.parametrize("url", ["", *OTHER_WORDS.strip().replace("\n", "|").split("|")])
def test_other_words_are_no_place_for_objects(url):
    with pytest.raises(InvalidInput):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["s3://key:TOPSECRET@bucket/a", "s3://bucket/a?sig=TOPSECRET", "s3://bucket/a#TOPSECRET"]
)
def test_a_url_with_more_than_a_place_is_refused_and_not_repeated(url):
    with pytest.raises(InvalidInput) as caught:
        check_url(url)
    assert "TOPSECRET" not in caught.value.message + caught.value.hint


def test_a_directory_by_path_or_url_is_the_local_store(tmp_path):
    digest = open_objects(tmp_path / "my objects").put_bytes(b"model")
    by_url = open_objects(f"file://{tmp_path}/my%20objects")
    assert isinstance(by_url, LocalObjects)
    assert by_url.verify(digest) == 5


@pytest.mark.parametrize("url", ["s3://bucket/a", "gs://bucket/a", "az://container/a"])
def test_a_bucket_by_url_is_the_remote_store(url, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    assert isinstance(open_objects(url), RemoteObjects)


def test_a_setting_that_is_missing_or_wrong_is_named_without_its_value(monkeypatch):
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidInput, match=r"az://container/a .*\(MissingAccount\)"):
        open_objects("az://container/a")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "TOPSECRET!")
    with pytest.raises(InvalidInput) as caught:
        open_objects("az://container/a")
    assert "TOPSECRET" not in caught.value.message + caught.value.hint


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_the_package_for_buckets_is_loaded_only_for_a_bucket(tmp_path):
    begin = "import sys; from lastgood.cas.select import open_objects; import lastgood.engine.open;"
    here = python(f"{begin} open_objects('file://{tmp_path}/o'); print('obstore' in sys.modules)")
    assert here.stdout == "False\n", here.stderr
    there = python(f"{begin} open_objects('s3://bucket'); print('obstore' in sys.modules)")
    assert there.stdout == "True\n", there.stderr


def test_without_the_package_a_bucket_is_refused_with_how_to_get_it():
    done = python(
        "import sys; sys.modules['obstore'] = None\n"
        "from lastgood.cas.select import open_objects\n"
        "from lastgood.errors import NotSupported\n"
        "try: open_objects('s3://bucket/a')\n"
        "except NotSupported as error: print(error.hint)"
    )
    assert done.stdout == "pip install 'lastgood[remote]'\n", done.stderr
