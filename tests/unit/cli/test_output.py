import pytest

from lastgood.cli.output import Output, age, bytes_of, clean, span, with_times


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (0, "0 ms"),
        (-5, "0 ms"),
        (999, "999 ms"),
        (1000, "1 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (90_000, "1 min 30 s"),
        (600_000 + 30_000, "10 min"),
        (3_600_000, "1 h"),
        (5_400_000, "1 h 30 min"),
        (90_000_000, "1 d 1 h"),
        (864_000_000 * 3, "30 d"),
    ],
)
def test_spans(milliseconds, words):
    assert span(milliseconds) == words


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (10_000, "just now"),
        (9_500, "just now"),
        (5_000, "5 s ago"),
        (12_000, "just now"),
        (70_000, "in 1 min"),
    ],
)
def test_ages_forgive_clocks_that_differ_a_little(at, words):
    assert age(at, now=10_000) == words


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 2**30, "5.0 GiB")]
)
def test_sizes(size, words):
    assert bytes_of(size) == words


def test_control_characters_are_written_out():
    assert clean("a\x1b[31m\u202eb\nc") == "a\\x1b[31m\\u202eb\nc"


def test_moments_get_an_iso_time_and_spans_and_user_names_do_not():
    value = {
        "at_ms": 0,
        "active_ms": 5,
        "params": {"x_ms": 1},
        "list": [{"since_ms": None, "to_ms": 1500}],
    }
    assert with_times(value) == {
        "at_ms": 0,
        "at": "1970-01-01T00:00:00.000Z",
        "active_ms": 5,
        "params": {"x_ms": 1},
        "list": [{"since_ms": None, "to_ms": 1500, "to": "1970-01-01T00:00:01.500Z"}],
    }


def test_a_column_without_any_text_folds_no_other(capsys):
    Output(as_json=False, now=0).table(["", "churn/6", "churn/7", ""], [("C", "0.01", "1", "")])
    assert capsys.readouterr().out.splitlines() == ["   churn/6  churn/7", "C  0.01     1"]
