"""The search language: what is accepted, what it means, and that nothing makes the parser slow."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.core.filter_parser import parse_filter, parse_order
from lastgood.errors import InvalidInput, LastgoodError, TooLarge


def only(text):
    (clause,) = parse_filter(text)
    return clause.target, clause.key, clause.operator, clause.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.auc > 0.9", ("metric", "auc", ">", 0.9)),
        ("metric.auc>=-1e-3", ("metric", "auc", ">=", -0.001)),
        ("metrics.n = 3", ("metric", "n", "=", 3)),
        ("metrics.`val auc` < .5", ("metric", "val auc", "<", 0.5)),
        ("params.depth = '6'", ("param", "depth", "=", "6")),
        ('parameter.depth != "6"', ("param", "depth", "!=", "6")),
        ("parameters.\"a b\" LIKE '%x'", ("param", "a b", "LIKE", "%x")),
        ("tags.mlflow.source.name = 'x'", ("tag", "mlflow.source.name", "=", "x")),
        (
            "tag.`mlflow.prompt.is_prompt` != 'true'",
            ("tag", "mlflow.prompt.is_prompt", "!=", "true"),
        ),
        ("tags.team ilike 'A%'", ("tag", "team", "ILIKE", "A%")),
        ("tags.team IS NULL", ("tag", "team", "IS NULL", None)),
        ("tags.team is not null", ("tag", "team", "IS NOT NULL", None)),
        ("name = 'churn'", ("attribute", "name", "=", "churn")),
        ("attributes.run_id IN ('a', 'b')", ("attribute", "run_id", "IN", ("a", "b"))),
        ("run_id not in ('a',)", ("attribute", "run_id", "NOT IN", ("a",))),
        ("attr.`Run name` = 'x'", ("attribute", "Run name", "=", "x")),
        ("run.status = 'RUNNING'", ("attribute", "status", "=", "RUNNING")),
        ("datasets.digest = 'ab'", ("dataset", "digest", "=", "ab")),
        ("name = 'it''s'", ("attribute", "name", "=", "it's")),
        ("name = 'and x = 1 AND'", ("attribute", "name", "=", "and x = 1 AND")),
        ("name = ''", ("attribute", "name", "=", "")),
        ("tags.größe = 'ü'", ("tag", "größe", "=", "ü")),
        ("tags.and = 'x'", ("tag", "and", "=", "x")),
        ("version_number > 3;", ("attribute", "version_number", ">", 3)),
        ("tags.a-b/c = 'x'", ("tag", "a-b/c", "=", "x")),
    ],
)
def test_one_clause(text, expected):
    assert only(text) == expected


def test_a_conjunction_keeps_its_order_and_positions():
    clauses = parse_filter("name = 'a' and tags.b='c'\n AND metrics.d < 1")
    assert [(c.key, c.position) for c in clauses] == [("name", 0), ("b", 15), ("d", 31)]


def test_an_empty_filter_has_no_clauses():
    assert parse_filter("") == ()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (" \n", "position 2"),
        ("name", "position 4"),
        ("name =", "position 6"),
        ("name = 'a' OR name = 'b'", "position 11"),
        ("name = 'a' name = 'b'", "position 11"),
        ("name = 'a' AND", "position 14"),
        ("(name = 'a')", "position 0"),
        ("= 'a'", "position 0"),
        ("name == 'a'", "position 6"),
        ("name <> 'a'", "position 5"),
        ("name = a", "position 7"),
        ("name = 'a", "position 7"),
        ("name = 1x", "position 7"),
        ("foo.bar = 1", "position 0"),
        ("run_id IN ()", "position 11"),
        ("run_id IN ('a' 'b')", "position 15"),
        ("run_id IN (1)", "position 11"),
        ("run_id IN 'a'", "position 10"),
        ("run_id IN ('a'", "position 14"),
        ("run_id NOT LIKE 'a'", "position 7"),
        ("tags.x IS 'a'", "position 10"),
        ("metrics.a > 1; DROP TABLE runs", "position 13"),
        ("name = 'a' -- comment", "position 11"),
        ("metrics. > 1", "position 7"),
        ("\x00", "position 0"),
    ],
)
def test_what_is_wrong_is_told_with_its_position(text, where):
    with pytest.raises(InvalidInput) as error:
        parse_filter(text)
    assert where in error.value.message


def test_order():
    orders = parse_order(["metrics.`a b` DESC", "name", "attribute.start_time asc", "tags.x desc"])
    assert [(o.target, o.key, o.ascending) for o in orders] == [
        ("metric", "a b", False),
        ("attribute", "name", True),
        ("attribute", "start_time", True),
        ("tag", "x", False),
    ]


@pytest.mark.parametrize("text", ["", "name down", "name ASC DESC", "name, version", "1", "'a'"])
def test_a_wrong_order_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_order([text])


def test_lengths_are_bounded():
    with pytest.raises(TooLarge):
        parse_filter("a" * 1_000_001)
    with pytest.raises(TooLarge):
        parse_order(["a"] * 101)
    with pytest.raises(TooLarge):
        parse_order(["a" * 10_001])


def test_ten_thousand_values_are_read():
    ids = ", ".join(f"'{i:032x}'" for i in range(10_000))
    assert len(only(f"run_id IN ({ids})")[3]) == 10_000


@pytest.mark.parametrize("piece", ["'", '"', "`", "a.", "'a", "(", "1.", "-", "''", "a.`", " AND "])
def test_hostile_repetition_is_answered(piece):
    with pytest.raises(InvalidInput):
        parse_filter("name = " + piece * 100_000 + "\x00")


@given(st.text(max_size=60) | st.text("'\"`.=<>!()aNDIN, 1-;", max_size=60))
def test_any_text_is_read_or_refused_in_our_words(text):
    with suppress(LastgoodError):
        parse_filter(text)


@given(st.text(max_size=40).filter(lambda t: "`" not in t), st.text(max_size=40))
def test_what_is_quoted_comes_back(key, value):
    quoted = value.replace("'", "''")
    assert only(f"tags.`{key}` = '{quoted}'")[1:] == (key, "=", value)
