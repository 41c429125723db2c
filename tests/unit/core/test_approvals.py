"""Every sequence of up to six acts by three people, against a rule written down in another way."""

from dataclasses import replace

import pytest

from lastgood.core.approvals import Approval, ApprovalRule, standing

PEOPLE = ("ana", "bob", "eve")  # ana registered the version
DIGEST = "sha256:" + "1" * 64
ACTS = (
    *((who, word) for who in PEOPLE for word in ("approve", "reject")),
    ("time", "passes"),
)
DEPTH = 6
LASTS = 10  # an approval counts for so long; each "time passes" takes as long


def enough(words, now, promoter, *, count=1, four_eyes=True):
    found = standing(
        words,
        rules=[ApprovalRule(meaning="approved", count=count)],
        digest=DIGEST,
        asked_by=frozenset({"ana", promoter}),
        four_eyes=four_eyes,
        now=now,
    )
    return found.enough


def oracle(acts, promoter, *, count):
    """What must be so, told from the acts alone: each person's last word, and how long ago it was."""
    said, age = {}, {}
    for who, word in acts:
        if who == "time":
            age = dict.fromkeys(said, True)
        else:
            said[who], age[who] = word, False
    if "reject" in said.values():
        return False
    fresh = {p for p, word in said.items() if word == "approve" and not age[p]}
    return len(fresh - {"ana", promoter}) >= count


def every_sequence(check):
    """How many sequences there are, and those on which `check` disagrees with the oracle."""
    seen, wrong = 0, []

    def walk(acts, words, now):
        nonlocal seen
        for promoter in ("ana", "bob"):
            for count in (1, 2):
                seen += 1
                if check(words, now, promoter, count=count) != oracle(acts, promoter, count=count):
                    wrong.append((acts, promoter, count))
        if len(acts) == DEPTH:
            return
        for who, word in ACTS:
            if who == "time":
                walk((*acts, (who, word)), words, now + LASTS)
                continue
            said = Approval(
                actor=who, word=word, meaning="approved", digest=DIGEST, at_ms=now, expires_ms=now + LASTS
            )  # fmt: skip
            walk((*acts, (who, word)), [*words, said], now)

    walk((), [], 0)
    return seen, wrong


@pytest.mark.slow
def test_no_sequence_of_six_acts_by_three_people_gets_past_the_rule():
    seen, wrong = every_sequence(enough)
    assert seen == 4 * sum(len(ACTS) ** n for n in range(DEPTH + 1))
    assert wrong == []


def broken_first_word(words, now, promoter, *, count):
    """The control: counts whoever ever approved."""
    return enough([w for w in words if w.word == "approve"], now, promoter, count=count)


def broken_two_eyes(words, now, promoter, *, count):
    """The control: lets those who asked approve."""
    return enough(words, now, promoter, count=count, four_eyes=False)


def broken_expiry(words, now, promoter, *, count):
    """The control: approvals last for ever."""
    return enough([replace(w, expires_ms=None) for w in words], now, promoter, count=count)


@pytest.mark.parametrize("broken", [broken_first_word, broken_two_eyes, broken_expiry])
def test_a_broken_rule_is_found(broken, monkeypatch):
    monkeypatch.setitem(globals(), "DEPTH", 3)
    assert every_sequence(broken)[1]


def word(actor, what="approve", meaning="approved", digest=DIGEST):
    return Approval(actor=actor, word=what, meaning=meaning, digest=digest, at_ms=0)


def test_words_on_other_bytes_do_not_count_nor_do_other_meanings():
    assert enough([word("bob")], 0, "eve")
    assert not enough([word("bob", digest="sha256:" + "2" * 64)], 0, "eve")
    assert not enough([word("bob", meaning="reviewed")], 0, "eve")


def test_what_is_missing_is_told_by_meaning():
    rules = [ApprovalRule(meaning="reviewed", count=2), ApprovalRule(meaning="responsible")]
    found = standing(
        [word("bob", meaning="reviewed")],
        rules=rules, digest=DIGEST, asked_by=frozenset(), four_eyes=True, now=0,
    )  # fmt: skip
    assert found.missing == {"reviewed": 1, "responsible": 1}
    assert found.given["reviewed"] == ("bob",)
