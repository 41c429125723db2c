"""Texts, keys and other values for requests: mostly plain, some at a limit, some that cannot be right."""

from typing import Any

from hypothesis import strategies as st

__all__ = [
    "BODIES",
    "CONTENT_TYPES",
    "JUNK",
    "KEY",
    "PREFIX_LENGTH",
    "RESULTS",
    "TAGS",
    "TEXT",
    "at_most_one_in",
    "token",
]

PREFIX_LENGTH = 6  # characters that stand in the place of ⟦p⟧


def at_most_one_in(n: int, odd: st.SearchStrategy, plain: st.SearchStrategy) -> st.SearchStrategy:
    """Plain values, and one in `n` that is odd."""
    return st.integers(0, n - 1).flatmap(lambda i: odd if i == n - 1 else plain)


KEY = at_most_one_in(
    6,
    st.sampled_from(
        [
            *("", ".", "..", "../a", "/a", "a/", "a//b", "a/./b", "a\\b", "a\x00b", "a#b", "a%b"),
            *("k" * 250, "k" * 251, "k" * 255, "k" * 256, "💡", "a\nb", "\ud800", "'", '"', "`"),
            *("x:y", "a b", " ", "mlflow.runName", "mlflow.user", "e\u0301", "-", "a,b", "(a)"),
        ]
    ),
    st.sampled_from(["k", "k2", "loss", "a/b", "a.b c", "é"]),
)
TEXT = at_most_one_in(
    6,
    st.sampled_from(
        [
            *(
                "a\x00b",
                "💡",
                "e\u0301",
                "\ud83d",
                " ",
                "a\nb",
                "null",
                "true",
                "'",
                '"',
                "%",
                "\\",
            ),
            *("t" * n for n in (250, 251, 500, 501, 5000, 5001, 6000, 6001, 8000, 8001, 20_001)),
        ]
    ),
    st.sampled_from(["v", "w", "", "V", "ä", "1"]),
)
TAGS = st.lists(st.fixed_dictionaries({"key": KEY, "value": TEXT}), max_size=2)
RESULTS = at_most_one_in(
    8,
    st.sampled_from([0, -1, 50_000, 50_001, 1_000_000, "5", "x", 2**63]),
    st.sampled_from([1, 2, 100, 1000]),
)
JUNK: list[Any] = [
    *(None, "", [], {}, 987_654_321, -1, 0, True, False, 1.5, 2.0, "987654321", "x", " "),
    *(["a"], [5], [None], [[]], {"a": 1}, [{"a": 1}], [{"key": "k"}], [{"key": 5, "value": "v"}]),
    *([{"key": "k", "value": 5}], [{"key": None, "value": "v"}], [{"key": "k", "value": None}]),
    *(2**63 - 1, 2**63, -(2**63) - 1, 10**30, float("nan"), float("inf"), "NaN", "Infinity"),
    *("\ud800", "a\x00b", "💡", "t" * 8001),
]
CONTENT_TYPES = [
    "application/json; charset=utf-8",
    "application/json;charset=latin-1",
    "APPLICATION/JSON",
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/jsonx",
    "",
]
BODIES = [
    *("", "{", "null", "[]", "5", '"x"', '"{}"', '""', "{}", "{}x", "\ufeff{}", "[{}]", "true"),
    *('{"a": 1}', "{'a': 1}", '{"a": NaN}', "\x00", '{"a": "\ud800"}', '"[]"', '"null"'),
]


def token(path: str) -> st.SearchStrategy[str]:
    """A page token: mostly none, or what an earlier search of that path returned, or garbage."""
    garbage = st.sampled_from(["x", "AAAA", "eyJvZmZzZXQiOiAxfQ", "💡", "e30="])
    return at_most_one_in(10, garbage, st.sampled_from(["", f"⟦token {path}:0⟧"]))
