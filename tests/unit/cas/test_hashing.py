"""A digest that a thread of its own works out is that of the same bytes, and the thread goes."""

import hashlib
import random
import threading

import pytest

from lastgood.cas.hashing import ASIDE_SIZE_MIN, SideHasher


def hashing_threads():
    return [t for t in threading.enumerate() if t.name.startswith("lastgood-hash")]


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [1, 2, 3],
        [ASIDE_SIZE_MIN, 1, ASIDE_SIZE_MIN - 1, 5 * ASIDE_SIZE_MIN],
        [4 * ASIDE_SIZE_MIN] * 20,
    ],
)
def test_pieces_of_all_sizes_are_hashed_in_their_order(sizes):
    generator = random.Random(len(sizes))
    pieces = [generator.randbytes(size) for size in sizes]
    hasher = SideHasher()
    for piece in pieces:
        hasher.update(piece)
    wanted = hashlib.sha256(b"".join(pieces)).hexdigest()
    assert hasher.hexdigest() == hasher.hexdigest() == wanted
    hasher.close()
    assert hasher.hexdigest() == wanted


def test_the_thread_goes_with_the_hasher():
    hasher = SideHasher()
    hasher.update(b"x")
    assert hashing_threads() == []
    hasher.update(bytes(ASIDE_SIZE_MIN))
    assert len(hashing_threads()) == 1
    hasher.close()
    hasher.close()
    assert hashing_threads() == []
