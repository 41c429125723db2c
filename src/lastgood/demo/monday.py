"""The acts of the story, in order: set up, release, roll back, understand.

What the user sees are the commands and their output; what is judged at the end is asked through the
Python client, which answers the same.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from lastgood.core.ids import Instant, ModelName, VersionNumber
from lastgood.core.views import VersionView
from lastgood.demo.customers import request_bodies
from lastgood.demo.episode import (
    Answer,
    Episode,
    Findings,
    Metrics,
    Rollback,
    Switch,
    churner_share,
    delay_text,
    failures,
    last_wrong_answer,
)
from lastgood.demo.narrator import Narrator
from lastgood.demo.processes import Household
from lastgood.demo.promises import BAD, GOOD, PLAIN
from lastgood.demo.reading import (
    proof_of_good,
    read_findings,
    read_held,
    read_metrics,
    read_switches,
)
from lastgood.demo.traffic import REQUESTS_PER_SECOND, Traffic
from lastgood.errors import NotConverged
from lastgood.sdk import RemoteRegistry

__all__ = ["MODEL", "Monday"]

MODEL = ModelName("churn-predictor")
FOLLOWED = f"{MODEL}@production"
TRAINING = Path(__file__).with_name("train_churn.py")
CONFIG = "[good]\nrequests_min = 100\nseconds_min = 3.0\n"
VERSIONS = (PLAIN, GOOD, BAD)
REASONS: Mapping[VersionNumber, str] = {
    PLAIN: "first release",
    GOOD: "uses every column",
    BAD: "best ROC AUC so far",
}
KINDS: Mapping[VersionNumber, str] = {
    PLAIN: "logistic regression, 3 columns",
    GOOD: "logistic regression, all columns",
    BAD: "gradient boosting, all columns",
}
ROLLBACK_REASON = "predictions jumped"
RELEASER = "release-job"
GOOD_TIMEOUT_S = 90.0
BAD_ANSWERS = 300
"""So many customers are answered by the bad version before somebody notices."""
AFTER_ANSWERS = 180
"""So many are answered after the rollback, to see that it holds."""
ANSWERS_TIMEOUT_S = 60.0
ASKED_AGAIN_MAX = 50
POLL_S = 0.2
WAIT_S = "80"  # for a swap that takes a second on a machine with nothing else to do
LOG_LINES = "4"
DIGEST_SHOWN = len("sha256:") + 12
_FINE: Mapping[str, tuple[int, ...]] = {"diff": (0, 1), "fsck": (0, 6)}
"""`diff` ends with 1 when there are differences; damage that `fsck` finds (6) breaks a promise later."""


class Monday:
    """One telling.

    Args:
        household: Starts processes and runs commands.
        narrator: Tells.
        folder: Where the data directory and the gateway's cache are made.
    """

    def __init__(self, household: Household, narrator: Narrator, *, folder: Path) -> None:
        self._household = household
        self._narrator = narrator
        self._folder = folder
        self._traffic: Traffic | None = None

    def tell(self) -> Episode:
        """Live through the whole episode.

        Raises:
            LastgoodError: a part does not do its work.
        """
        self._narrator.title(
            "lastgood demo",
            "Monday, 6 AM. The churn model answers strangely. Which version is live? Who released "
            "it? What changed? What ran before, and was it any better? With three pickle files in a "
            "folder nobody can tell. This is that Monday with lastgood: real customers, real traffic.",
        )
        with RemoteRegistry(self._start_registry()) as registry:
            metrics = self._train(registry)
            self._release(registry)
            rollback = self._roll_back(registry)
            findings = self._understand(registry)
            return Episode(
                answers=self._answers(),
                switches=read_switches(registry.log(model=MODEL)),
                metrics=metrics,
                rollback=rollback,
                findings=findings,
            )

    def stop_traffic(self) -> None:
        """End the stream of requests, if there is one."""
        if self._traffic is not None:
            self._traffic.stop()

    # 1. A registry and three versions

    def _start_registry(self) -> str:
        narrator, data = self._narrator, self._folder / "data"
        narrator.chapter(1, "A registry and three trained versions")
        data.mkdir()
        (data / "config.toml").write_text(CONFIG, encoding="utf-8")
        started = time.monotonic()
        with narrator.doing("starting the registry"):
            server = self._household.start(
                "registry", ["server", "--data", str(data), "--port", "0"]
            )
        narrator.done(
            "registry at ",
            (server.url, "bold"),
            f", ready after {time.monotonic() - started:.1f} s",
        )
        self._household.environment["LASTGOOD_SERVER"] = server.url
        return server.url

    def _train(self, registry: RemoteRegistry) -> tuple[Metrics, ...]:
        narrator = self._narrator
        with narrator.doing("training three versions with the mlflow client"):
            self._household.script(
                TRAINING,
                extra={
                    "MLFLOW_TRACKING_URI": registry.url,
                    "MLFLOW_DISABLE_TELEMETRY": "true",
                    "GIT_PYTHON_REFRESH": "quiet",
                },
            )
        metrics = tuple(map(read_metrics, _shown(registry)))
        narrator.done(
            f"three versions of {MODEL}, trained on 7,043 customers of a telephone company; "
            "the script is plain MLflow, only MLFLOW_TRACKING_URI points here"
        )
        narrator.table(
            [">version", "model", ">ROC AUC", "digest"],
            [
                [str(m.version), KINDS[m.version], f"{m.roc_auc:.4f}", m.digest[:DIGEST_SHOWN]]
                for m in metrics
            ],
        )
        narrator.say(
            "Version 3 measures best. Its bug is in the measurement, too, so it does not show."
        )
        return metrics

    # 2. Three releases

    def _release(self, registry: RemoteRegistry) -> None:
        narrator = self._narrator
        narrator.chapter(2, "Three releases, while customers keep asking")
        narrator.say(
            "A version proves good by serving. To keep the story short, 100 requests over 3 s are "
            "enough here (config.toml); by default it takes 60 s."
        )
        with narrator.doing("starting the gateway and promoting version 1"):
            cache = str(self._folder / "gateway")
            gateway = self._household.start(
                "gateway", ["serve", FOLLOWED, "--port", "0", "--cache-dir", cache]
            )
            self._promote(PLAIN)
        narrator.done("gateway at ", (gateway.url, "bold"), f" follows {FOLLOWED}")
        self._traffic = Traffic(gateway.url, request_bodies())
        self._traffic.start()
        narrator.done(
            "customers ask ", (f"{REQUESTS_PER_SECOND:.0f} times a second", "bold"), " from now on"
        )
        self._prove(registry, PLAIN)
        with narrator.doing(f"promoting version {GOOD}", state=self._state):
            self._promote(GOOD)
        self._prove(registry, GOOD)
        with narrator.doing(f"promoting version {BAD}", state=self._state):
            self._promote(BAD)
        with narrator.doing(f"version {BAD} answers", state=self._state):
            self._wait_for_answers(lambda a: a.version == BAD, BAD_ANSWERS)
        narrator.done(f"version {BAD} is live, and no request fails. But who is called a churner?")
        narrator.blank()
        narrator.shares([self._share_row(version) for version in VERSIONS])

    def _promote(self, version: VersionNumber) -> None:
        reason = REASONS[version]
        self._household.command(
            *(
                "promote",
                f"{MODEL}/{version}",
                "--to",
                "production",
                "--reason",
                reason,
                "--wait",
                WAIT_S,
            ),
            extra={"LASTGOOD_ACTOR": RELEASER},
        )

    def _prove(self, registry: RemoteRegistry, version: VersionNumber) -> None:
        """Let the version serve until it has earned `good`."""
        end = time.monotonic() + GOOD_TIMEOUT_S
        with self._narrator.doing(f"version {version} proves itself", state=self._state):
            while not (proof := proof_of_good(registry.show(f"{MODEL}/{version}"))):
                if time.monotonic() > end:
                    raise NotConverged(
                        f"Version {version} did not prove good in {GOOD_TIMEOUT_S:.0f} s"
                    )
                time.sleep(POLL_S)
        self._narrator.done(
            f"version {version} is live and has proved ", ("good", "bold green"), f": {proof}"
        )

    # 3. The rollback

    def _roll_back(self, registry: RemoteRegistry) -> Rollback:
        narrator = self._narrator
        narrator.chapter(3, "6 AM: back, with one command")
        typed = ["rollback", MODEL, "--reason", ROLLBACK_REASON, "--wait", WAIT_S]
        with narrator.doing("rolling back", state=self._state):
            ran = self._household.command(*typed)
        narrator.command(typed, ran.output)
        with narrator.doing("watching", state=self._state):
            self._wait_for_answers(lambda a: a.sent_ms > ran.ended_ms, AFTER_ANSWERS)
        self.stop_traffic()
        decided = read_switches(registry.log(model=MODEL))[-1]
        held = read_held(_shown(registry))
        rollback = Rollback(typed_ms=ran.started_ms, returned_ms=ran.ended_ms, held=held)
        self._report(rollback, decided)
        return rollback

    def _report(self, rollback: Rollback, decided: Switch) -> None:
        answers, narrator = self._answers(), self._narrator
        last = last_wrong_answer(answers, BAD)
        if last is None:
            raise NotConverged(f"Version {BAD} never answered a request")
        narrator.blank()
        hold = f"the hold placed by {decided.operation}" if BAD in rollback.held else "nothing"
        narrator.figures(
            [
                ("decision -> last wrong answer", delay_text(last.answered_ms - decided.at_ms)),
                (
                    "command typed -> last wrong answer",
                    f"{last.answered_ms - rollback.typed_ms:.0f} ms",
                ),
                ("requests failed", f"{failures(answers)} of {len(answers):,}"),
                (f"what holds version {BAD}", hold),
            ]
        )
        narrator.note(
            "The decision is the time of the operation in the log; the last wrong answer is the last "
            f"one of version {BAD} that reached a customer, wherever it was when the decision fell."
        )

    # 4. What happened

    def _understand(self, registry: RemoteRegistry) -> Findings:
        narrator = self._narrator
        wrong, again = self._one_wrong_answer()
        narrator.chapter(4, "What happened?")
        narrator.say(
            f"One customer was called a churner; asked about again, version {GOOD} says otherwise. The "
            "wrong answer carried a request id."
        )
        at_ms = Instant(int(wrong.answered_ms))
        moment = datetime.fromtimestamp(at_ms / 1000, tz=UTC).isoformat(timespec="milliseconds")
        for question, arguments in (
            (
                "What was in production then?",
                ["live", MODEL, "--at", moment.replace("+00:00", "Z")],
            ),
            ("Who released what, when and why?", ["log", MODEL, "-n", LOG_LINES]),
            ("What stands behind that wrong answer?", ["why", wrong.request_id]),
            ("What did the bad release change?", ["diff", f"{MODEL}/{GOOD}", f"{MODEL}/{BAD}"]),
            ("Is the record whole, and every byte what it was?", ["fsck"]),
        ):
            narrator.asks(question)
            fine = _FINE.get(arguments[0], (0,))
            narrator.command(arguments, self._household.command(*arguments, fine=fine).output)
        return read_findings(
            asked_at_ms=at_ms,
            live=registry.live(MODEL, at=at_ms),
            wrong_request=wrong.request_id,
            asked_again=again,
            why=registry.why(wrong.request_id),
            fsck=registry.fsck(),
        )

    def _one_wrong_answer(self) -> tuple[Answer, Answer]:
        """A customer whom the bad version called a churner and the good one does not: both answers."""
        traffic = self._traffic
        wrong = [a for a in self._answers() if a.version == BAD and a.churner]
        middle = wrong[len(wrong) // 2 :][:ASKED_AGAIN_MAX]
        for answer in middle:
            again = traffic.ask(answer.customer) if traffic else None
            if again is not None and again.churner is False:
                return answer, again
        raise NotConverged(f"No customer was found whom version {BAD} wrongly called a churner")

    # The stream

    def _wait_for_answers(self, wanted: Callable[[Answer], bool], number: int) -> None:
        end = time.monotonic() + ANSWERS_TIMEOUT_S
        while sum(map(wanted, self._answers())) < number:
            if time.monotonic() > end:
                raise NotConverged(
                    f"{number} answers did not come within {ANSWERS_TIMEOUT_S:.0f} s"
                )
            time.sleep(POLL_S)

    def _answers(self) -> tuple[Answer, ...]:
        return self._traffic.answers() if self._traffic is not None else ()

    def _state(self) -> str:
        answers = self._answers()
        return f"{len(answers):,} answers, {failures(answers)} failed"

    def _share_row(self, version: VersionNumber) -> tuple[str, float | None, int, bool]:
        answers = self._answers()
        share = churner_share(answers, version)
        return (
            f"version {version}",
            share,
            sum(a.version == version for a in answers),
            version == BAD,
        )


def _shown(registry: RemoteRegistry) -> tuple[VersionView, ...]:
    return tuple(registry.show(f"{MODEL}/{version}") for version in VERSIONS)
