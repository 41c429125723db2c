import pytest

from lastgood.core.comparison import Remade, compare, first_different_answer, lasting_lines

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def verdict(recorded, made, tolerance=1e-9):
    one = compare(Remade(**recorded), Remade(**made), tolerance=tolerance)
    return one.equal, one.words


def facts(digest=A, answers=None, **metrics):
    return {"files": {"m": digest}, "metrics": metrics, "answers": answers}


def test_equal_bytes_need_nothing_else():
    assert verdict(facts(auc=0.5), facts(auc=0.6)) == ("bitwise", "bitwise")


def test_metrics_come_before_predictions():
    assert verdict(facts(auc=0.5), facts(B, auc=0.5 + 1e-12))[0] == "metrics"
    equal, words = verdict(facts(auc=0.5, answers=[1]), facts(B, auc=0.6, answers=[2]))
    assert (equal, words) == ("nothing", "different: first difference is metric auc: 0.5 -> 0.6")
    equal, words = verdict(facts(auc=0.5, answers=[1, 2]), facts(B, auc=0.5, answers=[1, 3]))
    assert words == "different: first difference is answer[1]: 2 -> 3"
    assert verdict(facts(auc=0.5), facts(B, auc=0.5, f1=1.0))[0] == "nothing"
    assert verdict(facts(auc="NaN"), facts(B, auc="NaN"))[0] == "metrics"


def test_without_metrics_predictions_decide_and_without_both_nothing_is_claimed():
    assert verdict(facts(answers=[0.1]), facts(B, answers=[0.1]))[0] == "predictions"
    equal, words = verdict(facts(), facts(B))
    assert equal == "nothing"
    assert "no metrics or golden answers" in words
    assert verdict(facts(auc=1.0), facts(B))[0] == "nothing"


@pytest.mark.parametrize(
    ("before", "after", "where"),
    [
        ([{"p": 0.5}], [{"p": 0.7}], "answer[0].p: 0.5 -> 0.7"),
        ([1], [1, 2], "answer: 1 items -> 2"),
        ({"a": 1}, {"b": 1}, "answer: other names"),
        (True, 1.0, "answer: True -> 1.0"),
        (True, True, ""),
        ("yes", "no", "answer: yes -> no"),
        (1.0, "1", "answer: 1.0 -> 1"),
    ],
)
def test_the_first_difference_is_told(before, after, where):
    assert first_different_answer(before, after, 1e-9) == where


def test_the_least_difference_that_counts_may_be_another_than_the_relative_one():
    assert first_different_answer(0.0, 1e-7, 1e-6) == ""
    assert first_different_answer(0.0, 1e-7, 1e-6, absolute=1e-9) == "answer: 0.0 -> 1e-07"
    assert first_different_answer([1.0], [1.0 + 1e-7], 1e-6, absolute=1e-9) == ""


def test_moments_and_random_names_do_not_count():
    one = b"flavors: {}\nmodel_uuid: 1\nutc_time_created: 'x'\n"
    other = b"flavors: {}\nmodel_uuid: 2\nutc_time_created: 'y'\nrun_id: r\n"
    assert lasting_lines(one) == lasting_lines(other) == b"flavors: {}\n"
