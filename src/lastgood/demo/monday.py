"""The acts of the story, in order: set up, release, roll back, understand."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lastgood.core.ids import Instant, VersionNumber
from lastgood.demo.customers import request_bodies
from lastgood.demo.episode import (
    Answer,
    Episode,
    Findings,
    Metrics,
    Rollback,
    churner_share,
    failures,
    last_wrong_answer,
)
from lastgood.demo.narrator import Narrator
from lastgood.demo.processes import Household
from lastgood.demo.promises import BAD, GOOD, PLAIN
from lastgood.demo.reading import (
    read_findings,
    read_held,
    read_is_good,
    read_metrics,
    read_switches,
)
from lastgood.demo.traffic import REQUESTS_PER_SECOND, Traffic
from lastgood.errors import NotConverged

__all__ = ["MODEL", "Monday"]

MODEL = "churn-predictor"
FOLLOWED = f"{MODEL}@production"
TRAINING = Path(__file__).with_name("train_churn.py")
CONFIG = "[good]\nrequests_min = 100\nseconds_min = 3.0\n"
REASONS: Mapping[VersionNumber, str] = {
    PLAIN: "first release",
    GOOD: "uses every column",
    BAD: "best ROC AUC so far",
}
ROLLBACK_REASON = "churn predictions jumped since 6 AM"
RELEASER = "release-job"
GOOD_TIMEOUT_S = 45.0
BAD_ANSWERS = 300
"""So many customers are answered by the bad version before somebody notices."""
AFTER_ANSWERS = 120
"""So many are answered after the rollback, to see that it holds."""
ANSWERS_TIMEOUT_S = 60.0
POLL_S = 0.2
WAIT_S = "30"


class Monday:
    """One telling."""

    def __init__(self, household: Household, narrator: Narrator, *, folder: Path) -> None:
        self._household = household
        self._narrator = narrator
        self._folder = folder
        self._traffic: Traffic | None = None

    def tell(self) -> Episode:
        """Live through the whole episode. Raises LastgoodError if a part does not do its work."""
        self._narrator.title(
            "lastgood demo",
            "Monday, 6 AM. The churn model answers strangely. Which version is live? Who released it? "
            "What changed? What did we run before, and was it any better? With three pickle files in a "
            "folder nobody can tell. Here is that Monday with lastgood: real customers, real traffic.",
        )
        self._set_up()
        metrics = self._train()
        self._release()
        rollback = self._roll_back()
        findings = self._understand()
        return Episode(
            answers=self._answers(),
            switches=read_switches(self._household.ask("log", MODEL)),
            metrics=metrics,
            rollback=rollback,
            findings=findings,
        )

    def stop_traffic(self) -> None:
        """End the stream of requests, if there is one."""
        if self._traffic is not None:
            self._traffic.stop()

    def _set_up(self) -> None:
        narrator, data = self._narrator, self._folder / "data"
        narrator.chapter(1, "A registry, a gateway and three trained versions")
        data.mkdir()
        (data / "config.toml").write_text(CONFIG, encoding="utf-8")
        started = time.monotonic()
        with narrator.doing("starting the registry"):
            server = self._household.start(
                "registry", ["server", "--data", str(data), "--port", "0"]
            )
        took_s = time.monotonic() - started
        self._household.environment["LASTGOOD_SERVER"] = server.url
        narrator.done("registry at ", (server.url, "bold"), f", ready after {took_s:.1f} s")

    def _train(self) -> tuple[Metrics, ...]:
        narrator = self._narrator
        with narrator.doing("training three versions with the mlflow client"):
            self._household.script(TRAINING, extra=self._mlflow_environment())
            shown = [self._show(version) for version in (PLAIN, GOOD, BAD)]
        metrics = tuple(read_metrics(version) for version in shown)
        narrator.done(
            f"three versions of {MODEL}, trained on 7,043 customers of a telephone company. ",
            ("The script is plain MLflow; only MLFLOW_TRACKING_URI points here.", "dim"),
        )
        what = (
            "logistic regression, 3 columns",
            "logistic regression, all columns",
            "gradient boosting, all columns",
        )
        narrator.table(
            ["version", "model", ">ROC AUC", "digest"],
            [
                [f"{MODEL}/{m.version}", words, f"{m.roc_auc:.4f}", m.digest[:19]]
                for m, words in zip(metrics, what, strict=True)
            ],
        )
        narrator.say(
            "Version 3 measures best. Its preprocessing has a bug that the measurement shares."
        )
        return metrics

    def _release(self) -> None:
        narrator = self._narrator
        narrator.chapter(2, "Three releases, while customers keep asking")
        narrator.say(
            "A version proves good by serving. Here 100 requests over 3 s are enough, so that the story "
            "stays short (config.toml); the default asks for 60 s."
        )
        with narrator.doing("starting the gateway and promoting version 1"):
            arguments = [
                "serve",
                FOLLOWED,
                "--server",
                self._household.environment["LASTGOOD_SERVER"],
            ]
            arguments += ["--port", "0", "--cache-dir", str(self._folder / "gateway")]
            gateway = self._household.start("gateway", arguments)
            self._promote(PLAIN)
        narrator.done("gateway at ", (gateway.url, "bold"), f" follows {FOLLOWED}")
        self._traffic = Traffic(gateway.url, request_bodies())
        self._traffic.start()
        narrator.done(
            "customers ask, ",
            (f"{REQUESTS_PER_SECOND:.0f} times a second", "bold"),
            ", and go on asking",
        )
        self._released(PLAIN)
        for version in (GOOD, BAD):
            with narrator.doing(f"promoting version {version}", state=self._state):
                self._promote(version)
            self._released(version)
        narrator.blank()
        narrator.say("Share of customers that each version calls churners:")
        narrator.shares([self._share_row(version) for version in (PLAIN, GOOD, BAD)])

    def _promote(self, version: VersionNumber) -> None:
        self._household.command(
            *(
                "promote",
                f"{MODEL}/{version}",
                "--to",
                "production",
                "--reason",
                REASONS[version],
                "--wait",
                WAIT_S,
            ),
            extra={"LASTGOOD_ACTOR": RELEASER},
        )

    def _released(self, version: VersionNumber) -> None:
        """Let the version serve: the first two until they prove good, the third until somebody notices."""
        if version == BAD:
            with self._narrator.doing(f"version {version} answers", state=self._state):
                self._wait_for_answers(lambda a: a.version == BAD, BAD_ANSWERS)
            self._narrator.done(f"version {version} is live")
            return
        end = time.monotonic() + GOOD_TIMEOUT_S
        with self._narrator.doing(f"version {version} proves itself", state=self._state):
            while not read_is_good(self._show(version)):
                if time.monotonic() > end:
                    raise NotConverged(
                        f"Version {version} did not prove good within {GOOD_TIMEOUT_S:.0f} s"
                    )
                time.sleep(POLL_S)
        self._narrator.done(f"version {version} is live and has proved ", ("good", "bold green"))

    def _roll_back(self) -> Rollback:
        narrator = self._narrator
        narrator.chapter(3, "6 AM: back, with one command")
        typed = ["rollback", MODEL, "--reason", ROLLBACK_REASON]
        with narrator.doing("rolling back", state=self._state):
            ran = self._household.command(*typed, "--wait", WAIT_S)
        narrator.command([*typed, "--wait", WAIT_S], ran.output)
        with narrator.doing("watching", state=self._state):
            self._wait_for_answers(lambda a: a.sent_ms > ran.ended_ms, AFTER_ANSWERS)
        self.stop_traffic()
        decided_ms = read_switches(self._household.ask("log", MODEL))[-1].at_ms
        held = read_held([self._show(version) for version in (PLAIN, GOOD, BAD)])
        self._report_rollback(decided_ms, ran.started_ms, held)
        return Rollback(typed_ms=ran.started_ms, returned_ms=ran.ended_ms, held=held)

    def _report_rollback(
        self, decided_ms: Instant, typed_ms: float, held: tuple[VersionNumber, ...]
    ) -> None:
        answers = self._answers()
        last = last_wrong_answer(answers, BAD)
        if last is None:
            raise NotConverged(f"Version {BAD} never answered a request")
        self._narrator.blank()
        self._narrator.figures(
            [
                ("decision -> last wrong answer", f"{last.answered_ms - decided_ms:.0f} ms"),
                ("command typed -> last wrong answer", f"{last.answered_ms - typed_ms:.0f} ms"),
                ("requests failed", f"{failures(answers)} of {len(answers):,}"),
                (
                    "on hold in production",
                    ", ".join(f"{MODEL}/{version}" for version in held) or "nothing",
                ),
            ]
        )
        self._narrator.say(
            ("The decision is the operation's time in the log; the last wrong answer is the last one of "
             f"version {BAD} to reach a customer.", "dim"),
        )  # fmt: skip

    def _understand(self) -> Findings:
        narrator, household = self._narrator, self._household
        narrator.chapter(4, "What happened?")
        wrong = self._one_wrong_answer()
        moment = datetime.fromtimestamp(wrong.answered_ms / 1000, tz=UTC).isoformat(
            timespec="milliseconds"
        )
        live = ["live", MODEL, "--at", moment.replace("+00:00", "Z")]
        why = ["why", wrong.request_id]
        narrator.say("A customer was called a churner by mistake. The answer carried a request id.")
        for question, arguments in (
            ("What was in production then?", live),
            ("Who released what, when and why?", ["log", MODEL, "-n", "4"]),
            ("What stands behind that wrong answer?", why),
            ("What did the bad release change?", None),
            ("Is the record whole, and every byte what it was?", ["fsck"]),
        ):
            if arguments is None:
                continue
            narrator.asks(question)
            narrator.command(arguments, household.command(*arguments).output)
        return read_findings(
            asked_at_ms=Instant(int(wrong.answered_ms)),
            live=household.ask(*live),
            wrong_request=wrong.request_id,
            why=household.ask(*why),
            fsck=household.ask("fsck"),
        )

    def _one_wrong_answer(self) -> Answer:
        """An answer from the middle of the bad version's time that called a customer a churner."""
        wrong = [a for a in self._answers() if a.version == BAD and a.churner]
        if not wrong:
            raise NotConverged(f"Version {BAD} never called a customer a churner")
        return wrong[len(wrong) // 2]

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

    def _show(self, version: VersionNumber) -> Any:
        return self._household.ask("show", f"{MODEL}/{version}")

    def _mlflow_environment(self) -> dict[str, str]:
        return {
            "MLFLOW_TRACKING_URI": self._household.environment["LASTGOOD_SERVER"],
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_PYTHON_REFRESH": "quiet",
        }
