from dataclasses import replace

import pytest

from lastgood.core.manifest import Code, DataInput, Environment, FileEntry, Manifest
from lastgood.core.reproducibility import ITEMS, missing_items

DIGEST = "sha256:" + "0" * 64
CODE = Code(commit="c0ffee", entry_point="train.py")
ENVIRONMENT = Environment(
    python="3.11.7", packages=("scikit-learn",), installed=("a==1",), settings={"seed": "1"}
)
WHOLE = Manifest(
    files=(FileEntry(path="m", digest=DIGEST, size=1),),
    code=CODE,
    data=(DataInput(name="rows", digest="abc"),),
    environment=ENVIRONMENT,
    input_example="input_example.json",
)


def lacks(manifest, outcome="pass"):
    return [one.item for one in missing_items(manifest, {"load_test": outcome} if outcome else {})]


def test_a_version_that_has_everything_lacks_nothing():
    assert lacks(WHOLE) == []


@pytest.mark.parametrize(
    ("change", "item"),
    [
        ({"code": replace(CODE, commit="")}, "commit"),
        ({"code": replace(CODE, dirty=True)}, "patch"),
        ({"code": replace(CODE, untracked=("a", "b", "c", "d"))}, "untracked"),
        ({"code": replace(CODE, entry_point="")}, "entry_point"),
        ({"data": ()}, "data"),
        ({"data": (DataInput(name="rows", digest=""),)}, "data_digests"),
        ({"environment": replace(ENVIRONMENT, python="")}, "python"),
        ({"environment": replace(ENVIRONMENT, installed=())}, "packages"),
        ({"environment": replace(ENVIRONMENT, installed=(), packages=())}, "packages"),
        ({"environment": replace(ENVIRONMENT, local=("ours",))}, "local_packages"),
        ({"environment": replace(ENVIRONMENT, settings={})}, "seed"),
        ({"environment": replace(ENVIRONMENT, settings={"PYTHONHASHSEED": "random"})}, "seed"),
        ({"input_example": ""}, "input_example"),
    ],
)
def test_each_item_is_told_by_its_name(change, item):
    assert lacks(replace(WHOLE, **change)) == [item]
    assert item in ITEMS


@pytest.mark.parametrize("outcome", [None, "fail", "unknown"])
def test_only_a_load_test_that_passed_counts(outcome):
    assert lacks(WHOLE, outcome) == ["load_test"]


def test_what_is_kept_or_told_otherwise_is_not_missing():
    dirty = replace(CODE, dirty=True, patch=DIGEST)
    pinned = replace(ENVIRONMENT, installed=(), packages=("a==1", "b @ https://example.org/b"))
    unseeded = replace(ENVIRONMENT, settings={"PYTHONHASHSEED": "0"})
    for change in ({"code": dirty}, {"environment": pinned}, {"environment": unseeded}):
        assert lacks(replace(WHOLE, **change)) == []
    plain = replace(WHOLE, environment=replace(ENVIRONMENT, settings={}))
    assert lacks(replace(plain, params={"model__random_state": "7"})) == []
    assert lacks(replace(plain, params={"random_state": "None"})) == ["seed"]


def test_nothing_at_all_lacks_nearly_everything():
    bare = Manifest(files=WHOLE.files)
    conditional = {"patch", "untracked", "data_digests", "local_packages"}
    assert set(lacks(bare, None)) == set(ITEMS) - conditional
