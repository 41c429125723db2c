"""One sequence of requests to MLflow's server and to ours: the same answers, or a deviation that is listed."""

import runpy
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from fault_processes import Server
from hypothesis import HealthCheck, Phase, given, settings

from differential.calls import PRELUDE, sequences
from differential.deviations import DEVIATIONS, deviations_of
from differential.examples import EXAMPLES
from differential.player import Player
from differential.servers import mlflow_server

DOCS = Path(__file__).parents[3] / "docs"
QUIET = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # each try plays a sequence; `shortest` needs fewer of them
    print_blob=False,
)


@pytest.fixture(scope="module")
def player(tmp_path_factory):
    ours = Server(tmp_path_factory.mktemp("ours"))
    try:
        with mlflow_server(tmp_path_factory.mktemp("theirs")) as port:
            playing = Player(port, int(ours.url.rpartition(":")[2]))
            yield playing
            playing.close()
    finally:
        ours.close()


def unlisted(player, calls, seen):
    """Play until the servers know different things; the first difference that is not listed, and when."""
    for number, pair in enumerate(player.play([*PRELUDE, *calls])):
        found = deviations_of(pair)
        if found is None:
            return number - len(PRELUDE), pair
        seen.update(deviation.name for deviation in found)
        # Of a request with a wrong type MLflow may have lost a part, and said yes all the same.
        lost = not pair.follows_protocol
        if pair.changes and (lost or any(deviation.ends for deviation in found)):
            return None
    return None


def shortest(player, calls):
    """Leave out what the difference does not need."""
    for number in reversed(range(len(calls) - 1)):
        fewer = calls[:number] + calls[number + 1 :]
        if (found := unlisted(player, fewer, Counter())) and found[0] == len(fewer) - 1:
            calls = fewer
    return calls


def compare(player, calls, seen):
    """Every difference must be a listed deviation."""
    if found := unlisted(player, calls, seen):
        number, pair = found
        story = "\n".join(f"  {call!r}" for call in shortest(player, calls[: number + 1]))
        pytest.fail(f"{story}\nMLflow: {pair.theirs}\n  ours: {pair.ours}", pytrace=False)


@pytest.mark.slow
def test_the_same_requests_have_the_same_answers(player):
    seen = Counter()

    @settings(QUIET, max_examples=20, derandomize=True)
    @given(sequences())
    def play(calls):
        compare(player, calls, seen)

    play()
    assert seen["creator"] >= 20


@pytest.mark.nightly
def test_thousands_of_requests_have_the_same_answers(player, capsys):
    seen = Counter()

    @settings(QUIET, max_examples=400)
    @given(sequences())
    def play(calls):
        compare(player, calls, seen)

    play()
    unseen = {deviation.name for deviation in DEVIATIONS} - seen.keys()
    with capsys.disabled():
        print(f"\ndeviations seen: {dict(seen.most_common())}\nnot seen: {sorted(unseen)}")


@pytest.mark.slow
@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda deviation: deviation.name)
def test_a_listed_deviation_still_occurs(player, deviation):
    *_, last = player.play([*PRELUDE, *EXAMPLES[deviation.name]])
    found = deviations_of(last)
    assert found is not None, f"MLflow: {last.theirs}\nours: {last.ours}"
    assert deviation in found, f"MLflow: {last.theirs}\nours: {last.ours}"


@pytest.mark.slow
def test_another_answer_is_noticed(player):
    """The control: had ours said anything else, no deviation would excuse it."""
    for pair in player.play(PRELUDE):
        assert deviations_of(pair) is not None
        for other in (
            replace(pair.ours, status=404, code="RESOURCE_DOES_NOT_EXIST"),
            replace(pair.ours, status=500, code="INTERNAL_ERROR"),
            replace(pair.ours, body={"unexpected": 1}),
        ):
            assert deviations_of(replace(pair, ours=other)) is None


def test_the_page_of_deviations_is_what_the_list_says():
    made = runpy.run_path(str(DOCS / "generate_deviations.py"))["page"]()
    written = (DOCS / "reference" / "deviations.md").read_text()
    assert written == made, "run: python docs/generate_deviations.py"
