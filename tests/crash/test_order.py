"""What a promise rests on is synced before the promise is made; seen in the system calls."""

import pytest
import trace_order


@pytest.fixture
def traced(nursery, references):
    def run(acts, variant=None):
        reference = references[acts]
        ended = nursery.run(
            acts=acts, template=reference.template, trace=trace_order.TRACED, variant=variant
        )
        assert ended.exit_code == 0
        assert len(ended.acknowledged) == len(reference.views) - 1
        calls = trace_order.read(ended.trace)
        log = str(ended.data / "lastgood.db-wal")
        acks = str(ended.data.parent / "acks")
        return (
            trace_order.broken_acknowledgements(calls, log=log, acks=acks),
            trace_order.broken_objects(calls, log=log),
            sum(call.name == "rename" for call in calls),
        )

    return run


@pytest.mark.parametrize(("acts", "objects"), [("release", 4), ("begin", 5)])
def test_log_and_objects_are_synced_before_an_act_is_acknowledged(traced, acts, objects):
    acknowledgements, renames, seen = traced(acts)
    assert acknowledgements == []
    assert renames == []
    assert seen == objects  # the trace shows them all: MLmodel once, each model.pkl, each manifest


def test_a_log_that_is_not_synced_shows(traced, references):
    """The control: SQLite's synchronous=OFF."""
    acknowledgements, renames, _ = traced("release", "log not synced")
    assert len(acknowledgements) == len(references["release"].views) - 1
    assert renames == []


def test_objects_that_are_not_synced_show(traced):
    """The control: fsync left out of the object store."""
    acknowledgements, renames, seen = traced("release", "objects not synced")
    assert acknowledgements == []
    assert len(renames) == seen == 4
