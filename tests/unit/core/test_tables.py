import pytest

from lastgood.core.tables import compare_tables


def move_of(before, after):
    (move,) = compare_tables("t", {"x": before}, {"x": after}).columns
    return move.kind, move.distance, move.words


def test_columns_and_rows_that_come_and_go_are_told():
    found = compare_tables("t", {"a": ["1"], "b": ["x"]}, {"a": ["1", "1"], "c": ["y", "y"]})
    assert (found.rows_before, found.rows_after) == (1, 2)
    assert (found.added, found.removed, found.columns) == (("c",), ("b",), ())


def test_numbers_are_compared_by_their_distribution_not_their_order():
    assert compare_tables("t", {"x": ["1", "2", "3"]}, {"x": ["3", "1.0", "2"]}).columns == ()
    assert move_of(["1", "2"], ["11", "12"]) == ("number", 1.0, "mean 1.5 -> 11.5")
    # SciPy: ks_2samp([1, 2, 3, 4], [3, 4, 5, 6]).statistic
    assert move_of(list("1234"), list("3456"))[1] == 0.5


def test_texts_are_compared_by_their_shares():
    kind, distance, words = move_of(["a", "a", "b", "b"], ["a", "b", "b", "b"])
    assert (kind, distance, words) == ("text", 0.25, "'a' 50.0% -> 25.0%")
    assert move_of(["a"], ["b"])[1] == 1.0


def test_a_column_that_changes_its_kind_and_gaps_are_told():
    assert move_of(["1", "2"], ["one", "2"])[0] == "number -> text"
    assert move_of(["1", "3"], ["", "3"])[2] == "mean 2 -> 3, empty 0 -> 1"
    assert move_of(["1"], [""]) == ("number", 1.0, "mean 1 -> nothing, empty 0 -> 1")


@pytest.mark.parametrize("table", [{}, {"x": []}])
def test_empty_tables_are_no_trouble(table):
    assert compare_tables("t", table, table).columns == ()
