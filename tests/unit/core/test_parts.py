from lastgood.core.manifest import Code, DataInput, Environment, FileEntry, Manifest
from lastgood.core.parts import part_digests, part_moves

DIGEST = "sha256:" + "0" * 64
FILES = (FileEntry(path="m", digest=DIGEST, size=1),)
OLD = Manifest(
    files=FILES,
    code=Code(commit="c0ffee"),
    data=(DataInput(name="rows", digest="a"),),
    params={"depth": "5"},
    environment=Environment(python="3.11.7"),
)
NEW = Manifest(
    files=FILES, code=Code(commit="c0ffee", dirty=True), params={"depth": "6"}, tags={"any": "tag"}
)


def test_every_part_says_what_becomes_of_it():
    moves = {move.part: move for move in part_moves(OLD, NEW)}
    assert set(moves) == {"model", "code", "data", "environment", "parameters", "serving"}
    assert moves["model"].because.startswith("stays")
    assert (moves["code"].before, moves["code"].after) == ("c0ffee", "c0ffee + changes not kept")
    assert moves["parameters"].because == "changes"
    assert "nobody can restore it" in moves["data"].because
    assert "stays" in moves["serving"].because


def test_what_is_not_known_is_not_claimed():
    assert all(move.before == "" for move in part_moves(None, OLD))
    assert {move.because for move in part_moves(None, NEW) if move.part == "data"} == {
        "not recorded in either"
    }
    assert part_digests(OLD)["model"] == part_digests(NEW)["model"]
