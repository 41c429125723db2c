"""What `RemoteObjects` does beyond the contract, over a store in a folder; tests/contract runs it over S3."""

import hashlib
import io

import obstore
import pytest
from obstore.store import LocalStore

from lastgood.cas.remote import RemoteObjects
from lastgood.cas.remote_errors import translated
from lastgood.cas.remote_writer import OBJECT_SIZE_MAX, PART_SIZE
from lastgood.core.ids import digest_of_hex
from lastgood.errors import IntegrityFailure, NotFound, StoreFull, StoreUnavailable, TooLarge

LARGE = bytes(range(256)) * (10 * PART_SIZE // 1024)  # two and a half parts


def digest_of(data):
    return digest_of_hex(hashlib.sha256(data).hexdigest())


@pytest.fixture
def bucket(tmp_path):
    return LocalStore(tmp_path / "bucket", mkdir=True)


@pytest.fixture
def objects(bucket):
    return RemoteObjects(bucket, name="folder")


def names(bucket):
    return sorted(meta["path"] for meta in obstore.list(bucket).collect())


def test_an_object_is_named_as_on_disk(bucket, objects):
    digits = objects.put_bytes(b"model").removeprefix("sha256:")
    assert names(bucket) == [f"sha256/{digits[:2]}/{digits[2:]}"]


def test_other_names_are_not_taken_for_objects(bucket, objects):
    digest = objects.put_bytes(b"model")
    obstore.put(bucket, f"sha256/{digest[7:9]}/README", b"not an object")
    obstore.put(bucket, "sha256/README", b"not an object")
    obstore.put(bucket, "incoming/left-by-a-crash", b"half")
    assert list(objects.digests()) == [digest]


def test_a_small_object_waits_in_memory_and_a_large_one_in_incoming(bucket, objects):
    with objects.writer() as small, objects.writer() as large:
        small.write(LARGE[:PART_SIZE])
        large.write(LARGE)
        large.write(LARGE)
        assert not any(name.startswith("sha256/") for name in names(bucket))
        assert small.commit() == digest_of(LARGE[:PART_SIZE])
        assert large.commit() == digest_of(LARGE * 2)
        # The large one's upload is gone as soon as it is committed, not only when the writer is left.
        assert not any(name.startswith("incoming/") for name in names(bucket))
    assert len(names(bucket)) == 2


def test_what_is_too_large_to_copy_is_read_and_written_again(bucket):
    objects = RemoteObjects(bucket, name="folder", copy_size_max=PART_SIZE)
    digest = objects.put(io.BytesIO(LARGE), expect=digest_of(LARGE))
    assert objects.verify(digest) == len(LARGE)
    assert len(names(bucket)) == 1


@pytest.mark.parametrize(
    ("copy_size_max", "change"),
    [
        (10 * PART_SIZE, "cut"),
        (10 * PART_SIZE, "gone"),
        (PART_SIZE, "cut"),
        (PART_SIZE, "gone"),
        (PART_SIZE, "flipped"),  # a copy inside the store is not read; see the next test
    ],
)
def test_an_upload_that_the_store_spoils_never_becomes_an_object(bucket, copy_size_max, change):
    objects = RemoteObjects(bucket, name="folder", copy_size_max=copy_size_max)
    with objects.writer() as writer:
        writer.write(LARGE)
        writer._upload.close()
        (name,) = names(bucket)
        if change == "gone":
            obstore.delete(bucket, name)
        else:
            spoiled = LARGE[:-1] if change == "cut" else b"\x01" + LARGE[1:]
            obstore.put(bucket, name, spoiled)
        with pytest.raises((StoreUnavailable, IntegrityFailure, FileNotFoundError)):
            writer._publish(digest_of(LARGE))  # what `commit` does once the upload is closed
    assert names(bucket) == []
    assert not objects.has(digest_of(LARGE))


def test_a_copy_that_was_spoiled_is_found_when_it_is_read(bucket, objects):
    digest = objects.put_bytes(LARGE)
    (name,) = names(bucket)
    obstore.put(bucket, name, b"\x01" + LARGE[1:])
    with pytest.raises(IntegrityFailure):
        objects.verify(digest)


def test_an_object_has_a_largest_size(objects):
    with objects.writer() as writer:
        writer.size = OBJECT_SIZE_MAX - 1
        writer.write(b"1")
        with pytest.raises(TooLarge):
            writer.write(b"2")


def test_a_part_read_goes_on_when_the_same_bytes_are_put_again(bucket, objects):
    digest = objects.put_bytes(LARGE)
    reading = objects.read(digest, start=1)
    first = next(reading)
    objects.put_bytes(LARGE)  # with a new entity tag
    assert first + b"".join(reading) == LARGE[1:]


def test_a_part_read_stops_when_other_bytes_take_the_place(bucket, objects):
    digest = objects.put_bytes(LARGE)
    reading = objects.read(digest, start=1)
    next(reading)
    (name,) = names(bucket)
    obstore.put(bucket, name, LARGE[:-1] + b"\x00")
    with pytest.raises(IntegrityFailure):
        list(reading)


def test_a_check_leaves_nothing_behind(bucket, objects):
    objects.check()
    assert names(bucket) == []


# --- errors in our words ---------------------------------------------------------------------------

SECRET = "sig=TOPSECRET"
ERRORS = {
    f"status code: 507 Insufficient Storage {SECRET}": (StoreFull, "No space left"),
    f"status code: 400: <Code>XMinioStorageFull</Code> {SECRET}": (StoreFull, "No space left"),
    f"No space left on device (os error 28) {SECRET}": (StoreFull, "No space left"),
    f"status code: 403 Forbidden: <Code>InvalidAccessKeyId</Code> {SECRET}": (
        StoreUnavailable,
        "access denied (403 InvalidAccessKeyId)",
    ),
    f"status code: 503: <Code>SlowDown</Code> {SECRET}": (
        StoreUnavailable,
        "answered 503 SlowDown",
    ),
    f"error sending request: dns error {SECRET}": (StoreUnavailable, "its address is unknown"),
    f"kind: Connect, ConnectionRefused {SECRET}": (StoreUnavailable, "cannot be reached"),
    f"operation TimedOut {SECRET}": (StoreUnavailable, "did not answer in time"),
    f"Builder BadScheme {SECRET}": (StoreUnavailable, "plain http is not allowed"),
    f"something new {SECRET}": (StoreUnavailable, "the object store failed (GenericError)"),
}


@pytest.mark.parametrize("text", ERRORS)
def test_an_error_is_told_in_our_words_without_what_it_may_hold(text):
    kind, words = ERRORS[text]
    with pytest.raises(kind) as caught, translated("s3://bucket"):
        raise obstore.exceptions.GenericError(text)
    assert type(caught.value) is kind
    assert words in caught.value.message
    assert "s3://bucket" in caught.value.message
    assert caught.value.hint
    assert SECRET not in caught.value.message + caught.value.hint
    assert caught.value.__suppress_context__


def test_what_is_absent_is_the_object_or_the_bucket():
    digest = digest_of(b"model")
    with pytest.raises(NotFound, match=digest), translated("s3://bucket", digest):
        raise FileNotFoundError("<Code>NoSuchKey</Code>")
    for asked in (digest, None):
        with pytest.raises(StoreUnavailable, match="bucket"), translated("s3://bucket", asked):
            raise FileNotFoundError("<Code>NoSuchBucket</Code>")
