"""The local cache: whole or not at all, inside its directory, never trusted."""

import hashlib
from pathlib import Path

import msgspec
import pytest

from lastgood.core.canonical import canonical
from lastgood.core.ids import digest_of_hex
from lastgood.core.manifest import FileEntry, Manifest
from lastgood.errors import (
    IntegrityFailure,
    InvalidInput,
    NotFound,
    ServerUnreachable,
    StoreUnavailable,
)
from lastgood.serve.bundle import BUNDLES_KEPT, BundleCache, Cancelled
from lastgood.serve.plan import Placed, Plan, read_plan, write_plan


def digest_of(data):
    return digest_of_hex(hashlib.sha256(data).hexdigest())


class MemoryFeed:
    """The part of a registry that bundles need. Sends what it has, unverified: the cache must check."""

    def __init__(self):
        self.objects, self.manifests, self.up, self.reads = {}, {}, True, 0

    def add(self, files):
        entries = tuple(
            FileEntry(path=path, digest=digest_of(data), size=len(data))
            for path, data in files.items()
        )
        self.objects |= {digest_of(data): data for data in files.values()}
        manifest = Manifest(files=entries)
        digest = digest_of(manifest.encode())
        self.manifests[digest] = manifest
        return digest

    def manifest(self, digest):
        self._check_up()
        return self.manifests[digest]

    def read_object(self, digest):
        self._check_up()
        self.reads += 1
        if digest not in self.objects:
            raise NotFound(f"Object {digest} is not stored")
        data = self.objects[digest]
        yield data[:2]
        yield data[2:]

    def _check_up(self):
        if not self.up:
            raise ServerUnreachable("No registry answers")


@pytest.fixture
def feed():
    return MemoryFeed()


@pytest.fixture
def cache(tmp_path, feed):
    return BundleCache(tmp_path / "cache", feed)


FILES = {"MLmodel": b"flavors", "data/model.pkl": b"weights", "empty": b""}


def test_a_bundle_holds_exactly_its_files_and_needs_no_registry_afterwards(cache, feed):
    digest = feed.add(FILES)
    bundle = cache.prepare(digest)
    found = {
        str(p.relative_to(bundle.path)): p.read_bytes()
        for p in bundle.path.rglob("*")
        if p.is_file()
    }
    assert found == FILES
    feed.up = False
    assert cache.prepare(digest).path == bundle.path


def test_versions_share_their_objects(cache, feed):
    cache.prepare(feed.add(FILES))
    reads = feed.reads
    cache.prepare(feed.add(FILES | {"MLmodel": b"other"}))
    assert feed.reads == reads + 1


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "link"])
def test_damage_is_named_when_it_cannot_be_repaired_and_repaired_when_it_can(
    cache, feed, damage, tmp_path
):
    digest = feed.add(FILES)
    target = cache.prepare(digest).path / "data" / "model.pkl"
    target.chmod(0o644)
    if damage == "flip":
        target.write_bytes(b"Weights")
    elif damage == "cut":
        target.write_bytes(b"weight")
    else:
        target.unlink()
        stored = tmp_path / "cache" / "objects"
        for path in stored.glob("*/*"):
            path.unlink()
        if damage == "link":
            (tmp_path / "outside").write_bytes(b"weights")
            target.symlink_to(tmp_path / "outside")
    feed.up = False
    with pytest.raises(ServerUnreachable, match=r"'data/model\.pkl'"):
        cache.prepare(digest)
    feed.up = True
    assert cache.prepare(digest).path.joinpath("data/model.pkl").read_bytes() == b"weights"
    assert not target.is_symlink()


@pytest.mark.parametrize("sent", [b"Weights", b"weigh", b"weights and more", None])
def test_wrong_bytes_from_the_registry_are_refused_by_name_and_not_kept(
    cache, feed, sent, tmp_path
):
    digest = feed.add(FILES)
    right = digest_of(b"weights")
    if sent is None:
        del feed.objects[right]
    else:
        feed.objects[right] = sent
    with pytest.raises(IntegrityFailure, match=r"'data/model\.pkl'"):
        cache.prepare(digest)
    kept = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert sent not in kept
    assert not list((tmp_path / "cache" / "tmp").iterdir())


@pytest.mark.parametrize(
    "path", ["../escaped", "/tmp/escaped", "a/../../escaped", "a\\..\\b", "C:escaped"]
)
def test_an_unsafe_path_cannot_leave_the_bundle(cache, feed, path, tmp_path):
    manifest = Manifest(files=(FileEntry(path=path, digest=digest_of(b"x"), size=1),))
    feed.objects[digest_of(b"x")] = b"x"
    # Right for its bytes: only the path is wrong.
    digest = digest_of(canonical(msgspec.to_builtins(manifest)))
    feed.manifests[digest] = manifest
    with pytest.raises(InvalidInput, match="Invalid path"):
        cache.prepare(digest)
    assert not list(tmp_path.rglob("*escaped*"))


def test_another_manifest_than_asked_for_is_refused(cache, feed):
    digest, other = feed.add(FILES), feed.add({"MLmodel": b"other"})
    feed.manifests[digest] = feed.manifests[other]
    with pytest.raises(IntegrityFailure, match="another manifest"):
        cache.prepare(digest)


def test_a_damaged_cached_manifest_is_fetched_again(cache, feed):
    digest = feed.add(FILES)
    path = cache.prepare(digest).path.parent / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"MLmodel", b"MLmudel"))
    assert cache.prepare(digest).manifest == feed.manifests[digest]


def test_what_does_not_belong_to_the_version_is_removed(cache, feed):
    digest = feed.add(FILES)
    planted = cache.prepare(digest).path / "data" / "sitecustomize.py"
    planted.write_text("print('planted')")
    cache.prepare(digest)
    assert not planted.exists()


def test_a_bundle_that_nobody_wants_any_more_is_given_up(cache, feed):
    with pytest.raises(Cancelled):
        cache.prepare(feed.add(FILES), cancelled=lambda: True)


def test_old_bundles_go_with_their_objects_but_not_those_in_use(cache, feed, tmp_path):
    import os

    made = []
    for n in range(BUNDLES_KEPT + 3):
        made.append(feed.add({"MLmodel": b"%d" % n}))
        home = cache.prepare(made[-1]).path.parent
        os.utime(home, (n, n))
    cache.prune([made[0]])
    bundles = {path.name for path in (tmp_path / "cache" / "bundles").iterdir()}
    assert bundles == {
        digest.removeprefix("sha256:") for digest in [made[0], *made[-BUNDLES_KEPT:]]
    }
    assert len(list((tmp_path / "cache" / "objects").glob("*/*"))) == BUNDLES_KEPT + 1
    feed.up = False
    cache.prepare(made[0])
    with pytest.raises(ServerUnreachable):
        cache.prepare(made[1])


def test_a_cache_that_cannot_be_written_is_named(tmp_path, feed):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        BundleCache(tmp_path / "cache", feed).prepare(feed.add(FILES))


def test_the_plan_survives_and_a_plan_that_cannot_be_used_is_ignored(tmp_path: Path):
    path = tmp_path / "plan.json"
    assert read_plan(path, model="m", ref="r") is None
    active = Placed(version=2, digest=digest_of(b"2"), seq=5)
    plan = Plan(
        model="m", ref="r", active=active, previous=Placed(version=1, digest=digest_of(b"1"), seq=3)
    )
    write_plan(path, plan)
    assert read_plan(path, model="m", ref="r") == plan
    assert read_plan(path, model="m", ref="other") is None
    whole = path.read_bytes()
    for damaged in (b"", whole[:-5], whole.replace(b"sha256:", b"md5:"), b'{"model": 3}'):
        path.write_bytes(damaged)
        assert read_plan(path, model="m", ref="r") is None
