"""Kept answers are right until the next operation or commit, whoever makes it."""

import hashlib
import io

import pytest

from lastgood.api.mlflow.answers import ANSWERS_MAX, BYTES_MAX, QUESTION_BYTES_MAX, Answers
from lastgood.api.mlflow.wire import JsonReply
from lastgood.core.commands import Caller, Promote, Register
from lastgood.core.ids import digest_of_hex
from lastgood.core.manifest import FileEntry, Manifest
from lastgood.core.operations import Actor
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.engine.tracking import Tracking
from lastgood.engine.tracking.runs import NewRun

CALLER = Caller(actor=Actor(name="ann"))
QUESTION = ("/alias", b"name=churn&alias=champion", b"")


class Asked:
    """A handler that counts how often it had to look."""

    def __init__(self, answers, registry):
        self.answers, self.registry, self.looked = answers, registry, 0

    def version(self):
        known, state = self.answers.find(QUESTION)
        if known is None:
            self.looked += 1
            known = JsonReply(str(self.registry.show("churn@champion").version).encode())
            self.answers.keep(QUESTION, known, state=state)
        return int(known.body)


def register(registry, content):
    digest = digest_of_hex(hashlib.sha256(content).hexdigest())
    registry.put_object(io.BytesIO(content), digest=digest)
    files = (FileEntry(path="m", digest=digest, size=len(content)),)
    registry.register(Register(model="churn", manifest=Manifest(files=files)), caller=CALLER)


def promote(registry, number):
    registry.promote(Promote(reference=f"churn/{number}", to="champion"), caller=CALLER)


@pytest.fixture
def data(tmp_path):
    init_data_directory(tmp_path / "data")
    return tmp_path / "data"


def test_an_answer_is_worked_out_once_and_again_after_each_operation(data):
    with open_engine(data) as engine:
        register(engine.registry, b"one")
        register(engine.registry, b"two")
        promote(engine.registry, 1)
        asked = Asked(Answers(engine.kernel.head), engine.registry)
        assert [asked.version() for _ in range(5)] == [1] * 5
        assert asked.looked == 1
        promote(engine.registry, 2)
        assert [asked.version() for _ in range(5)] == [2] * 5
        assert asked.looked == 2


def test_an_operation_of_another_connection_to_the_same_file_counts_too(data):
    with open_engine(data) as engine, open_engine(data) as other:
        register(engine.registry, b"one")
        register(engine.registry, b"two")
        promote(engine.registry, 1)
        asked = Asked(Answers(engine.kernel.head), engine.registry)
        assert asked.version() == 1
        promote(other.registry, 2)
        assert asked.version() == 2


def test_without_asking_for_the_head_answers_would_be_stale(data):
    """The control of the two tests above."""
    with open_engine(data) as engine:
        register(engine.registry, b"one")
        register(engine.registry, b"two")
        promote(engine.registry, 1)
        asked = Asked(Answers(lambda: 1), engine.registry)
        assert asked.version() == 1
        promote(engine.registry, 2)
        assert asked.version() == 1


def test_what_is_not_an_operation_keeps_the_answers(data):
    with open_engine(data) as engine:
        register(engine.registry, b"one")
        promote(engine.registry, 1)
        asked = Asked(Answers(engine.kernel.head), engine.registry)
        asked.version()
        engine.kernel.database.write(
            lambda tx: tx.exec_driver_sql("CREATE TABLE elsewhere (x)")
        ).result()
        asked.version()
        assert asked.looked == 1


def test_the_memory_is_bounded():
    answers = Answers(lambda: 7)
    answers.find(QUESTION)
    for i in range(3 * ANSWERS_MAX):
        answers.keep(("/", str(i).encode(), b""), JsonReply(b"x"), state=7)
        assert len(answers._known) <= ANSWERS_MAX
    answers.keep(("/big", b"", b""), JsonReply(b"x" * (BYTES_MAX + 1)), state=7)
    assert answers.find(("/big", b"", b""))[0] is None
    answers.keep(("/long", b"q" * (QUESTION_BYTES_MAX + 1), b""), JsonReply(b"x"), state=7)
    assert answers.find(("/long", b"q" * (QUESTION_BYTES_MAX + 1), b""))[0] is None


def test_an_answer_worked_out_before_the_head_moved_is_not_kept():
    head = [1]
    answers = Answers(lambda: head[0])
    _, seen = answers.find(QUESTION)
    head[0] = 2
    answers.find(("/other", b"", b""))
    answers.keep(QUESTION, JsonReply(b"old"), state=seen)
    assert answers.find(QUESTION)[0] is None


def test_where_nobody_can_tell_what_changed_nothing_is_kept():
    answers = Answers(lambda: None)
    _, state = answers.find(QUESTION)
    answers.keep(QUESTION, JsonReply(b"old"), state=state)
    assert answers.find(QUESTION)[0] is None


def test_answers_about_runs_hold_until_the_next_commit_of_anybody(data):
    with open_engine(data) as engine, open_engine(data) as other:
        answers = Answers(engine.kernel.database.data_version)
        for writer in (engine, other):
            _, state = answers.find(QUESTION)
            answers.keep(QUESTION, JsonReply(b"now"), state=state)
            assert answers.find(QUESTION)[0] is not None
            new = NewRun(experiment_id="0", tags={})
            Tracking(writer.kernel).runs.create(new).result()
            assert answers.find(QUESTION)[0] is None
