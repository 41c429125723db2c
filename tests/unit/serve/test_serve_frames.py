"""Frames between gateway and worker, in both directions and in pieces."""

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from lastgood.serve.frames import FrameChannel
from lastgood.serve.worker_main import BODY_BYTES_MAX, HEADER, count_rows, read_frame


class Transport:
    def __init__(self):
        self.sent, self.aborted = b"", False

    def is_closing(self):
        return False

    def write(self, data):
        self.sent += data

    def abort(self):
        self.aborted = True


class Listener:
    def __init__(self):
        self.frames, self.lost = [], 0

    def frame_received(self, head, body):
        self.frames.append((json.loads(head), body))

    def channel_lost(self):
        self.lost += 1


def channel():
    listener, transport = Listener(), Transport()
    made = FrameChannel(listener)
    made.connection_made(transport)
    return made, listener, transport


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.integers(1, 50))
def test_whatever_is_sent_arrives_however_it_is_cut(bodies, piece):
    sender, _, wire = channel()
    for number, body in enumerate(bodies):
        sender.send(json.dumps({"n": number}).encode(), body)
    receiver, listener, _ = channel()
    for at in range(0, len(wire.sent), piece):
        receiver.data_received(wire.sent[at : at + piece])
    expected = [({"n": number}, body) for number, body in enumerate(bodies)]
    assert listener.frames == expected
    stream = io.BytesIO(wire.sent)
    assert [read_frame(stream) for _ in bodies] == expected
    assert read_frame(stream) is None


def test_a_frame_beyond_the_limit_ends_the_connection_on_both_sides():
    header = HEADER.pack(2, BODY_BYTES_MAX + 1)
    receiver, listener, transport = channel()
    receiver.data_received(header + b"{}")
    assert transport.aborted
    assert not listener.frames
    assert read_frame(io.BytesIO(header + b"{}")) is None


def test_half_a_frame_at_the_end_is_no_frame():
    whole = HEADER.pack(2, 3) + b"{}abc"
    for length in range(len(whole)):
        assert read_frame(io.BytesIO(whole[:length])) is None


def test_sending_on_a_lost_connection_does_nothing_and_the_listener_hears_once():
    sender, listener, transport = channel()
    sender.connection_lost(None)
    sender.send(b"{}")
    assert (transport.sent, listener.lost) == (b"", 1)


def test_rows_are_counted_as_well_as_one_can_tell():
    assert [count_rows(data) for data in ([1, 2], {"a": [1, 2, 3]}, "text", 5, {})] == [
        2,
        3,
        1,
        1,
        0,
    ]
