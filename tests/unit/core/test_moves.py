import pytest

from lastgood.core.changes import HoldPlaced, HoldReleased, RefMoved, StageChanged
from lastgood.core.moves import (
    HoldFact,
    RefFact,
    VersionFact,
    check_hold,
    leave_empty,
    move_to,
    roll_back,
    transition,
)
from lastgood.core.stages import Stage
from lastgood.errors import Held, InvalidInput

M = "churn"
P, S, N, A = Stage.PRODUCTION, Stage.STAGING, Stage.NONE, Stage.ARCHIVED


def moved(before, after, ref="production", *, alias=False):
    return RefMoved(model=M, ref=ref, before=before, after=after, alias=alias)


def staged(version, before, after):
    return StageChanged(model=M, version=version, before=before, after=after)


def test_a_promotion_moves_ref_and_labels_together():
    changes = move_to(
        M, VersionFact(2, N), ref=RefFact("production", 1, False), labelled=[VersionFact(1, P)]
    )
    assert changes == (moved(1, 2), staged(1, P, A), staged(2, N, P))


def test_a_promotion_to_a_ref_that_is_no_stage_is_an_alias():
    assert move_to(M, VersionFact(2, P), ref=RefFact("champion", 1, True), labelled=[]) == (
        moved(1, 2, "champion", alias=True),
    )


def test_promoting_what_is_live_changes_nothing():
    assert (
        move_to(
            M, VersionFact(1, P), ref=RefFact("production", 1, False), labelled=[VersionFact(1, P)]
        )
        == ()
    )


def test_a_rollback_also_places_the_hold():
    changes = roll_back(
        M,
        VersionFact(2, A),
        ref=RefFact("production", 3, False),
        labelled=[VersionFact(3, P)],
        holds=[],
    )
    assert changes == (
        moved(3, 2),
        staged(3, P, A),
        staged(2, A, P),
        HoldPlaced(model=M, version=3, environment="production"),
    )


def test_a_rollback_to_a_held_version_releases_its_hold():
    holds = [HoldFact(2, "production", "ann", "x")]
    changes = roll_back(
        M, VersionFact(2, A), ref=RefFact("production", 3, False), labelled=[], holds=holds
    )
    assert HoldReleased(model=M, version=2, environment="production") in changes


def test_a_hold_refuses_and_says_who_why_and_how_to_go_on():
    holds = [HoldFact(3, "production", "ann", "wrong answers")]
    with pytest.raises(Held) as refusal:
        check_hold(M, 3, "production", holds)
    assert "ann" in refusal.value.message
    assert "wrong answers" in refusal.value.message
    assert "--release-hold" in refusal.value.hint
    check_hold(M, 3, "staging", holds)
    check_hold(M, 2, "production", holds)


def test_leaving_empty():
    changes = leave_empty(M, ref=RefFact("production", 1, False), labelled=[VersionFact(1, P)])
    assert changes == (moved(1, None), staged(1, P, A))


class TestTransition:
    def test_to_production_moves_the_ref_and_archives_the_others_if_asked(self):
        changes = transition(
            M,
            VersionFact(2, S),
            to=P,
            archive_existing=True,
            labelled=[VersionFact(1, P)],
            refs=[RefFact("production", 1, False), RefFact("staging", 2, False)],
        )
        assert changes == (moved(1, 2), staged(1, P, A), staged(2, S, P))

    def test_without_archiving_two_versions_share_the_label_and_the_ref_is_the_newest(self):
        changes = transition(
            M,
            VersionFact(2, N),
            to=P,
            archive_existing=False,
            labelled=[VersionFact(1, P)],
            refs=[RefFact("production", 1, False)],
        )
        assert changes == (moved(1, 2), staged(2, N, P))

    def test_archiving_what_the_ref_points_to_unsets_the_ref(self):
        changes = transition(
            M,
            VersionFact(1, P),
            to=A,
            archive_existing=False,
            labelled=[],
            refs=[RefFact("production", 1, False), RefFact("champion", 1, True)],
        )
        assert changes == (moved(1, None), staged(1, P, A))

    def test_archiving_another_version_leaves_the_ref(self):
        changes = transition(
            M,
            VersionFact(3, S),
            to=A,
            archive_existing=False,
            labelled=[],
            refs=[RefFact("production", 1, False)],
        )
        assert changes == (staged(3, S, A),)

    @pytest.mark.parametrize("stage", [N, A])
    def test_archive_existing_needs_an_active_stage(self, stage):
        with pytest.raises(InvalidInput, match="is not an Active stage"):
            transition(M, VersionFact(1, P), to=stage, archive_existing=True, labelled=[], refs=[])
