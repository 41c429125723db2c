import pytest

from lastgood.core.ids import (
    parse_digest,
    parse_model_name,
    parse_ref_name,
    parse_version_number,
    printable,
)
from lastgood.errors import InvalidInput, InvalidName


@pytest.mark.parametrize(
    "name", ["churn", "churn-predictor", "Ünïcödé model", "a.b_c", "x" * 256, "日本"]
)
def test_names_that_mlflow_takes_are_taken(name):
    assert parse_model_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "a/b",
        "a:b",
        ".",
        "..",
        "x" * 257,
        "x" * 300,
        "a\x00b",
        "a\tb",
        "a\x7fb",
        "a\u200eb",
        "a\ud800b",
    ],
)
def test_names_that_would_mislead_are_refused(name):
    with pytest.raises(InvalidName):
        parse_model_name(name)


@pytest.mark.parametrize(
    "name", ["champion", "production", "eu-west_1", "a" * 255, "vNext", "v", "lateste"]
)
def test_ref_names(name):
    assert parse_ref_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "latest", "LATEST", "v1", "V22", "a@b", "a\n", "x" * 256]
)
def test_ref_names_that_read_like_something_else_are_refused(name):
    with pytest.raises(InvalidName):
        parse_ref_name(name)


@pytest.mark.parametrize("text", ["0", "-1", "1.0", "", "x", "\u0661", "2147483648", " 1"])
def test_what_is_no_version_number(text):
    with pytest.raises(InvalidInput):
        parse_version_number(text)


@pytest.mark.parametrize(
    "text",
    ["sha256:" + "A" * 64, "sha256:" + "a" * 63, "md5:" + "a" * 32, "sha256:" + "a" * 64 + "\n"],
)
def test_what_is_no_digest(text):
    with pytest.raises(InvalidInput):
        parse_digest(text)


def test_messages_show_control_characters_escaped_and_long_text_cut():
    assert printable("a\x1b[31mb") == "a\\x1b[31mb"
    assert len(printable("x" * 1000)) == 80
