import uuid

from lastgood.core.fresh import fresh_id

NOW_MS = 1_790_000_000_123


def test_ids_are_uuids_of_version_7_without_dashes():
    text = fresh_id(NOW_MS)
    made = uuid.UUID(text)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == NOW_MS
    assert text == made.hex
    assert len(fresh_id(0)) == len(fresh_id(2**60)) == 32


def test_ids_of_one_millisecond_differ_and_later_ones_come_later():
    first = {fresh_id(NOW_MS) for _ in range(10_000)}
    later = {fresh_id(NOW_MS + 1) for _ in range(100)}
    assert len(first) == 10_000
    assert max(first) < min(later)
