"""The log: order, compare-and-swap, idempotency, and a chain in which tampering shows."""

import random
import sqlite3

import msgspec
import psycopg
import pytest
import sqlalchemy as sa
from histories import History

from lastgood.core.canonical import canonical
from lastgood.core.changes import ModelCreated, ModelRenamed, RefMoved
from lastgood.core.operations import GENESIS, hash_of
from lastgood.errors import Conflict, IntegrityFailure, InvalidInput, NotFound
from lastgood.store import log, projections
from lastgood.store.backend import KNOWN

TAMPERS = 420


def created(model="churn"):
    return ModelCreated(model=model)


def moved(after, before=None, model="churn"):
    return RefMoved(model=model, ref="champion", before=before, after=after)


def test_operations_are_numbered_without_gaps_and_chained(append, act, database):
    first = append(act(created(), kind="create_model"))
    second = append(act(moved(1)))
    assert (first.seq, first.previous, second.seq) == (1, GENESIS, 2)
    assert second.previous == first.hash == hash_of(first.body())
    assert database.read(log.newest) == (2, second.hash)
    assert database.read(lambda c: log.by_seqs(c, [1, 2])) == {1: first, 2: second}


def test_an_empty_log_has_a_head(database):
    assert database.read(log.newest) == (0, GENESIS)
    assert database.read(lambda c: list(log.verify_chain(c))) == []


def test_what_is_read_back_equals_what_was_written(append, act, database):
    written = append(act(created(), reason="because ∆ \x00 \u2028 \U0001f600", key="k"))
    assert database.read(lambda c: log.page(c, limit=1)) == [written]


def test_time_never_goes_back_even_when_the_clock_does(append, act):
    assert append(act(created()), now=5000).at_ms == 5000
    assert append(act(moved(1)), now=10).at_ms == 5000
    assert append(act(moved(2, before=1)), now=5001).at_ms == 5001


def test_an_act_decided_on_an_old_state_is_refused_and_leaves_no_trace(append, act, database):
    head = append(act(created())).seq
    append(act(moved(1)), expect={"model:churn": head})
    before = database.read(projections.dump)
    with pytest.raises(Conflict, match=f"operation {head} was its newest"):
        append(act(moved(2)), expect={"model:churn": head})
    assert database.read(projections.dump) == before
    assert database.read(lambda c: len(list(log.every(c)))) == 2


def appends(act, *, before=None, after=None):
    def unit(tx):
        if before is not None:
            before(tx)
        operation = log.append(tx, act(moved(1)), now=1)
        if after is not None:
            after(tx)
        return operation

    return unit


def refuse(_tx):
    raise NotFound("nothing is left of it")


def test_an_act_that_was_undone_is_followed_by_none(append, act, database):
    append(act(created()))
    futures = [
        database.write(appends(act, after=refuse if n % 3 == 1 else None)) for n in range(20)
    ]
    refused = [future for future in futures if isinstance(future.exception(30), NotFound)]
    assert len(refused) == 7
    assert flaws(database) == []
    assert database.read(log.newest)[0] == 14


def test_if_it_were_remembered_the_next_would_follow_it(append, act, database):
    """The control of the test above."""
    append(act(created()))
    remembered = {}

    def remember(tx):
        remembered.update(tx.info[KNOWN])
        refuse(tx)

    with pytest.raises(NotFound):
        database.write(appends(act, after=remember)).result()
    database.write(appends(act, before=lambda tx: tx.info[KNOWN].update(remembered))).result()
    assert flaws(database) != []


def test_another_model_does_not_get_in_the_way(append, act):
    head = append(act(created())).seq
    append(act(created("fraud"), model="fraud"))
    append(act(moved(1)), expect={"model:churn": head})


def test_of_two_racing_promoters_one_wins(append, act, database):
    head = append(act(created())).seq
    futures = [
        database.write(
            lambda tx, n=n: log.append(tx, act(moved(n)), now=1, expect={"model:churn": head})
        )
        for n in range(1, 30)
    ]
    refused = [future for future in futures if isinstance(future.exception(30), Conflict)]
    assert len(refused) == len(futures) - 1


def test_without_compare_and_swap_both_would_win(append, act, database):
    """The control of the test above."""
    append(act(created()))
    futures = [
        database.write(lambda tx, n=n: log.append(tx, act(moved(n)), now=1)) for n in range(1, 30)
    ]
    assert all(future.exception(30) is None for future in futures)


def test_a_rename_is_an_act_on_both_names(append, act, database):
    append(act(created()))
    renamed = append(act(ModelRenamed(model="churn", after="churn-2"), kind="rename_model"))
    assert renamed.streams == ("model:churn", "model:churn-2")
    assert database.read(lambda c: log.head_of(c, "model:churn-2")) == renamed.seq


def test_an_idempotency_key_finds_its_operation_and_cannot_be_used_again(append, act, database):
    first = append(act(created(), key="once"))
    assert database.read(lambda c: log.by_idempotency_key(c, "once")) == first
    assert database.read(lambda c: log.by_idempotency_key(c, "never")) is None
    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError)):
        append(act(moved(1), key="once"))
    with pytest.raises(InvalidInput):
        append(act(moved(1), key="k" * 129))
    assert database.read(log.newest)[0] == 1


def test_pages_of_one_model_follow_it_through_renames(append, act, database):
    append(act(created()))
    append(act(created("fraud"), model="fraud"))
    append(act(moved(1)))
    append(act(ModelRenamed(model="churn", after="loyal"), kind="rename_model"))
    append(act(moved(2, before=1, model="loyal"), model="loyal"))

    def seqs(**filters):
        return [o.seq for o in database.read(lambda c: log.page(c, **{"limit": 50, **filters}))]

    assert seqs() == [5, 4, 3, 2, 1]
    assert seqs(limit=2) == [5, 4]
    assert seqs(before_seq=3) == [2, 1]
    assert seqs(model="loyal") == [5, 4, 3, 1]
    assert seqs(model="loyal", ref="champion") == [5, 3]
    assert seqs(model="never") == []


@pytest.fixture
def filled(database, append, act):
    history = History(random.Random(20))
    for _ in range(40):
        model, changes = history.draw()
        append(act(*changes, model=model))
    return database


def flaws(database):
    return [flaw for _, flaw in database.read(lambda c: list(log.verify_chain(c))) if flaw]


def test_an_untouched_log_is_clean(filled):
    """The control of all tampering below."""
    assert flaws(filled) == []


def _edit(rng, rows):
    row = rng.choice(rows)
    position = rng.randrange(len(row["body"]))
    changed = bytes([row["body"][position] ^ (1 << rng.randrange(7))])
    row["body"] = row["body"][:position] + changed + row["body"][position + 1 :]


def _edit_hash(rng, rows):
    rng.choice(rows)["hash"] = "sha256:" + f"{rng.getrandbits(256):064x}"


def _edit_column(rng, rows):
    row = rng.choice(rows)
    column = rng.choice(["at_ms", "kind", "id", "idempotency_key"])
    row[column] = row[column] + 1 if column == "at_ms" else f"x{rng.getrandbits(30)}"


def _forge(rng, rows):
    """The careful forger: changes what an operation says and its hash, id and columns to fit."""
    row = rows[rng.randrange(len(rows) - 1)]  # the last one: see test_a_log_cut_at_its_end
    body = row["body"].replace(b'"name":"', b'"name":"not ')
    assert body != row["body"]
    digest = hash_of(body)
    row |= {"body": body, "hash": digest, "id": "op-" + digest[7:23]}


def _delete(rng, rows):
    del rows[rng.randrange(len(rows) - 1)]


def _delete_and_renumber(rng, rows):
    at = rng.randrange(len(rows) - 1)
    del rows[at]
    for row in rows[at:]:
        row["seq"] -= 1


def _insert(rng, rows):
    at = rng.randrange(len(rows))
    copy = {**rows[at], "id": f"op-{rng.getrandbits(60)}", "idempotency_key": None}
    for row in rows[at:]:
        row["seq"] += 1
    rows.insert(at, copy)


def _swap(rng, rows):
    a, b = rng.sample(rows, 2)
    a["seq"], b["seq"] = b["seq"], a["seq"]
    rows.sort(key=lambda row: row["seq"])


def test_tampering_shows(filled):
    """Edits, forgeries, deletions, insertions and changed orders, hundreds, each on a fresh copy."""
    rng = random.Random(7)
    kinds = (_edit, _edit_hash, _edit_column, _forge, _delete, _delete_and_renumber, _insert, _swap)
    table = log.operations
    original = filled.read(
        lambda c: [row._asdict() for row in c.execute(sa.select(table).order_by(table.c.seq))]
    )
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    missed = []
    with engine.begin() as fresh:
        table.create(fresh)
        for round_ in range(TAMPERS + 1):
            kind = kinds[round_ % len(kinds)]
            rows = [dict(row) for row in original]
            if round_:  # the first round changes nothing: the copy itself must be clean
                kind(rng, rows)
            fresh.execute(table.delete())
            fresh.execute(table.insert(), rows)
            if any(flaw for _, flaw in log.verify_chain(fresh)) != bool(round_):
                missed.append((round_, kind.__name__))
    engine.dispose()
    assert missed == []


def test_a_log_cut_at_its_end_differs_in_its_head(filled):
    _, head = filled.read(log.newest)
    filled.write(
        lambda tx: tx.execute(log.operations.delete().where(log.operations.c.seq == 40))
    ).result()
    assert flaws(filled) == []
    assert filled.read(log.newest)[1] != head


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b'{"changes": 7}',
        b'{"changes":[{"kind":"?"}]}',
        b"\xff",
    ],
)
def test_bytes_that_are_no_operation_are_refused(body):
    with pytest.raises(IntegrityFailure):
        log.decode_operation(body)


def test_an_operation_of_a_newer_lastgood_still_verifies(append, act, database):
    """The hash is over the stored bytes, so that a field unknown here does not look like tampering."""
    operation = append(act(created()))
    fields = msgspec.to_builtins(operation)
    del fields["hash"]
    fields["changes"][0]["unknown_here"] = "value"
    body = canonical(fields)
    digest = hash_of(body)
    row = log.operations.update().values(hash=digest, id="op-" + digest[7:23], body=body)
    database.write(lambda tx: tx.execute(row)).result()
    assert flaws(database) == []
