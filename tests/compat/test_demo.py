"""`lastgood demo` from end to end, and the judge that must not be fooled by a doctored episode."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lastgood.core.ids import Digest, Instant, OperationId, RequestId, VersionNumber
from lastgood.demo.episode import Answer, Episode, Findings, Metrics, Rollback, Switch
from lastgood.demo.picture import draw
from lastgood.demo.promises import judge
from lastgood.demo.story import run_demo
from lastgood.errors import InvalidInput

PNG = b"\x89PNG\r\n\x1a\n"
START_MS = 1_790_000_000_000
ONE, TWO, THREE = VersionNumber(1), VersionNumber(2), VersionNumber(3)
ROLLBACK_S = 15.0
LAST_WRONG_S = 15.03
RETURNED_S = 15.5
END_S = 20.0


def _answer(at_s, version, index):
    one_in = 10 if version == THREE else 5  # nine in ten, or one in five, are called churners
    churner = index % one_in != 0 if version == THREE else index % one_in == 0
    at_ms = START_MS + at_s * 1000
    return Answer(
        customer=index,
        sent_ms=at_ms - 10,
        answered_ms=at_ms,
        status=200,
        version=version,
        request_id=RequestId(f"request-{index}"),
        churner=churner,
    )


def _live(at_s):
    if at_s <= 5.4:
        return ONE
    return THREE if 10.4 < at_s <= LAST_WRONG_S else TWO


def _switch(at_s, kind, version):
    return Switch(
        at_ms=Instant(START_MS + int(at_s * 1000)),
        operation=OperationId(f"op-{kind}-{version}"),
        kind=kind,
        version=version,
        actor="release-job",
        reason="",
    )


@pytest.fixture(name="episode")
def _episode():
    """An episode in which every promise was kept: 60 requests a second for 20 seconds."""
    moments = [index / 60 for index in range(int(END_S * 60))]
    return Episode(
        answers=tuple(_answer(at, _live(at), index) for index, at in enumerate(moments)),
        switches=(
            _switch(-1, "promote", ONE),
            _switch(5, "promote", TWO),
            _switch(10, "promote", THREE),
            _switch(ROLLBACK_S, "rollback", TWO),
        ),
        metrics=tuple(
            Metrics(version=version, digest=Digest(f"sha256:{version:064}"), roc_auc=auc)
            for version, auc in ((ONE, 0.81), (TWO, 0.858), (THREE, 0.86))
        ),
        rollback=Rollback(
            typed_ms=START_MS + 14_600, returned_ms=START_MS + RETURNED_S * 1000, held=(THREE,)
        ),
        findings=Findings(
            asked_at_ms=Instant(START_MS + 13_000),
            live_ordered=THREE,
            live_observed=(THREE,),
            wrong_request=RequestId("request-780"),
            asked_again=_answer(END_S + 1, TWO, 781),
            why_version=THREE,
            why_operation=OperationId("op-promote-3"),
            fsck_problems=(),
            fsck_operations=9,
            fsck_objects=21,
        ),
    )


def _broken(episode):
    return [promise.name for promise in judge(episode) if not promise.kept]


def test_an_episode_that_kept_every_promise_is_accepted(episode):
    assert _broken(episode) == []


def _fail_one(episode):
    answers = list(episode.answers)
    answers[700] = replace(answers[700], status=503, version=None, churner=None)
    return replace(episode, answers=tuple(answers))


def _no_prediction(episode):
    answers = list(episode.answers)
    answers[700] = replace(answers[700], churner=None)
    return replace(episode, answers=tuple(answers))


def _no_jump(episode):
    calm = (
        replace(a, churner=index % 5 == 0) if a.version == THREE else a
        for index, a in enumerate(episode.answers)
    )
    return replace(episode, answers=tuple(calm))


def _wrong_later(episode):
    answers = list(episode.answers)
    assert answers[-1].sent_ms > episode.rollback.returned_ms
    answers[-1] = replace(answers[-1], version=THREE)
    return replace(episode, answers=tuple(answers))


def _ended_early(episode):
    """Nobody asked after the rollback, so nothing shows that it held."""
    before = tuple(a for a in episode.answers if a.sent_ms <= episode.rollback.returned_ms)
    return replace(episode, answers=before)


def _slow(episode):
    return replace(episode, answers=episode.answers[::2])


def _never_live(episode):
    answers = tuple(replace(a, version=TWO) if a.version == ONE else a for a in episode.answers)
    return replace(episode, answers=answers)


def _chose_the_plain_one(episode):
    return replace(episode, switches=(*episode.switches[:-1], _switch(ROLLBACK_S, "rollback", ONE)))


def _worse_offline(episode):
    return replace(
        episode, metrics=(*episode.metrics[:-1], replace(episode.metrics[-1], roc_auc=0.5))
    )


def _finding(**changes):
    return lambda episode: replace(episode, findings=replace(episode.findings, **changes))


@pytest.mark.parametrize(
    ("doctor", "expected"),
    [
        (_fail_one, "no request failed"),
        (_no_prediction, "no request failed"),
        (_no_jump, "jumped"),
        (_wrong_later, "once the command had returned"),
        (_wrong_later, "last wrong answer"),
        (_ended_early, "once the command had returned"),
        (_slow, "requests a second"),
        (_never_live, "went live in its turn"),
        (_chose_the_plain_one, "chose the last good"),
        (_worse_offline, "looked better"),
        (lambda e: replace(e, rollback=replace(e.rollback, held=())), "on hold"),
        (lambda e: replace(e, answers=()), "no request failed"),
        (lambda e: replace(e, switches=()), "chose the last good"),
        (_finding(live_ordered=TWO), "live --at"),
        (_finding(live_observed=()), "live --at"),
        (_finding(asked_again=_answer(END_S + 1, TWO, 780)), "asked about again"),
        (_finding(asked_again=_answer(END_S + 1, THREE, 780)), "asked about again"),
        (_finding(why_operation=OperationId("op-promote-2")), "why"),
        (_finding(fsck_problems=("object sha256:00: missing",)), "fsck"),
        (_finding(fsck_operations=0), "fsck"),
    ],
)
def test_a_doctored_episode_breaks_the_promise_it_should(episode, doctor, expected):
    assert any(expected in name for name in _broken(doctor(episode)))


def test_the_picture_is_a_png_also_of_an_episode_with_failures(episode, tmp_path):
    picture = draw(_fail_one(episode), tmp_path / "episode.png")
    assert picture.read_bytes().startswith(PNG)


def _left_over():
    """Directories that demos made and did not remove."""
    import tempfile

    return set(Path(tempfile.gettempdir()).glob("lastgood-demo-*"))


def test_a_folder_that_cannot_be_made_is_refused_before_anything_starts(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidInput, match="cannot be made"):
        run_demo(output=tmp_path / "file" / "folder")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_polite_request_to_end_stops_everything_that_was_started(tmp_path):
    before = _left_over()
    process = subprocess.Popen(
        [sys.executable, "-m", "lastgood", "demo", "--output", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    for line in process.stdout:
        if "registry at" in line:  # one process runs in the background, another is about to
            process.send_signal(signal.SIGTERM)
            break
    said = process.stdout.read()
    assert process.wait(timeout=60) == 130, said
    assert "Interrupted" in said
    assert _left_over() <= before


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_demo_keeps_every_promise_and_leaves_only_its_picture(tmp_path):
    before = _left_over()
    # Settings of whoever runs the tests must not lead the demo elsewhere.
    environment = os.environ | {
        "LASTGOOD_SERVER": "http://127.0.0.1:9",
        "LASTGOOD_HOME": str(tmp_path / "home"),
        "COLUMNS": "80",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "lastgood", "demo", "--json", "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=220,
        cwd=tmp_path,
        env=environment,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    report = json.loads(ran.stdout)
    assert report["kept"] is True
    assert [p["name"] for p in report["promises"] if not p["kept"]] == []
    assert len(report["promises"]) == 13
    assert [switch["version"] for switch in report["switches"]] == [1, 2, 3, 2]
    assert Path(report["picture"]).read_bytes().startswith(PNG)
    assert "lastgood rollback churn-predictor --reason" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert _left_over() <= before
