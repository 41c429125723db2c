import pytest

from lastgood.core.ids import Instant
from lastgood.core.references import (
    ByDigest,
    ByNumber,
    ByRef,
    ByRun,
    Latest,
    parse_instant,
    parse_reference,
)
from lastgood.errors import InvalidReference

NOW = Instant(1_800_000_000_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("churn", ByRef("churn", "production")),
        ("churn~2", ByRef("churn", "production", back=2)),
        ("churn@champion", ByRef("churn", "champion")),
        ("churn/4", ByNumber("churn", 4)),
        ("churn@sha256:ab12", ByDigest("churn", "sha256:ab12")),
        ("churn@production~1", ByRef("churn", "production", back=1)),
        ("churn@production@{5m}", ByRef("churn", "production", at=NOW - 300_000)),
        ("churn@{5m ago}", ByRef("churn", "production", at=NOW - 300_000)),
        (
            "churn@production@{2026-11-02T09:30:00Z}",
            ByRef("churn", "production", at=1_793_611_800_000),
        ),
        ("name with spaces/12", ByNumber("name with spaces", 12)),
        ("models:/churn/4", ByNumber("churn", 4)),
        ("models:/churn/Production", ByRef("churn", "production")),
        ("models:/churn/staging", ByRef("churn", "staging")),
        ("models:/churn/latest", Latest("churn")),
        ("models:/churn@champion", ByRef("churn", "champion")),
        ("runs:/0123abcd/model", ByRun("0123abcd", "model")),
        ("runs:/0123abcd/nested/model/", ByRun("0123abcd", "nested/model")),
    ],
)
def test_every_form_is_read(text, expected):
    assert parse_reference(text, now=NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "@champion",
        "churn@",
        "churn/",
        "churn/0",
        "churn/-1",
        "churn/1.5",
        "churn/99999999999",
        "churn/x/4",
        "churn@v3",
        "churn@latest",
        "churn@a b",
        "churn@sha256:",
        "churn@sha256:xyz1",
        "churn@sha256:ab1",
        "churn@sha256:" + "a" * 65,
        "churn@production~999999",
        "churn@production@{yesterday}",
        "churn@production@{}",
        "churn@production@{99999-01-01}",
        "models:/churn",
        "models:/churn/Archived",
        "models:/churn/None",
        "models:/churn/Prod",
        "models:/",
        "runs:/",
        "runs:/abc",
        "runs:/../etc/passwd",
        "a:b",
        "a\x00b",
        "a\nb",
        "a\u202eb",
        "x" * 300,
        "x" * 3000,
    ],
)
def test_what_is_no_reference_is_refused_with_examples_or_a_next_step(text):
    with pytest.raises(InvalidReference) as refusal:
        parse_reference(text, now=NOW)
    assert refusal.value.exit_code == 2
    assert "\x00" not in refusal.value.message
    assert "\u202e" not in refusal.value.message


def test_a_moment_without_offset_is_local_time(monkeypatch):
    monkeypatch.setenv("TZ", "Etc/GMT-2")
    import time

    time.tzset()
    try:
        assert parse_instant("1970-01-01T02:00", now=NOW) == 0
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
