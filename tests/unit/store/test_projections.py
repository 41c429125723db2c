"""The projections are the fold of the log: live and rebuilt are the same, whatever happened."""

import random

import pytest
from histories import History

from lastgood.errors import IntegrityFailure
from lastgood.store import log, projections, rebuild
from lastgood.store import registry as rows
from lastgood.store.open import open_database, rebuild_projections
from lastgood.store.schema import PROJECTIONS, holds, meta, models, refs, versions


def fill(append, act, *, seed, acts):
    history = History(random.Random(seed))
    for _ in range(acts):
        model, changes = history.draw()
        append(act(*changes, model=model))
    return history


@pytest.mark.parametrize("seed", range(8))
def test_live_equals_rebuilt_under_random_histories(database, append, act, seed):
    history = fill(append, act, seed=seed, acts=120)
    compared, deviations = database.read(rebuild.compare)
    assert deviations == []
    assert compared == sum(len(found) for found in database.read(projections.dump).values()) > 0
    for model, numbers in history.versions.items():
        row = database.read(lambda c, m=model: rows.model_named(c, m))
        stored = database.read(lambda c, i=row.id: rows.versions_of(c, i))
        assert {v.version: v.stage for v in stored} == numbers
        held = database.read(lambda c, i=row.id: rows.holds_of(c, i))
        assert {(model, h.environment, h.version) for h in held} == {
            hold for hold in history.holds if hold[0] == model
        }
        found = database.read(lambda c, i=row.id: rows.refs_of(c, i))
        assert {(model, r.ref): r.version for r in found} == {
            key: number for key, number in history.refs.items() if key[0] == model
        }


def test_numbers_are_never_given_twice(database, append, act):
    history = fill(append, act, seed=3, acts=300)
    registered = [
        (change.model, change.version)
        for operation in database.read(lambda c: log.page(c, limit=1000))
        for change in operation.changes
        if change.kind == "version_registered"
    ]
    assert len(registered) == len(set(registered))
    for model, last in history.numbering.items():
        assert database.read(lambda c, m=model: rows.last_number(c, m)) == last


@pytest.mark.parametrize("table", PROJECTIONS, ids=lambda table: table.name)
def test_a_row_lost_or_added_behind_the_log_shows_and_a_rebuild_mends_it(
    database, append, act, table
):
    fill(append, act, seed=2, acts=200)
    whole = database.read(projections.dump)
    assert whole[table.name], "the history must fill every table"
    database.write(lambda tx: tx.execute(table.delete())).result()
    _, lost = database.read(rebuild.compare)
    assert {(d.table, d.missing) for d in lost} == {(table.name, True)}
    assert len(lost) == len(whole[table.name])
    database.write(rebuild_projections).result()
    assert database.read(rebuild.compare)[1] == []
    assert database.read(projections.dump) == whole


@pytest.mark.parametrize(
    "edit",
    [
        refs.update().values(version=999),
        versions.update().values(stage="Production"),
        holds.update().values(reason="another reason"),
        models.update().values(description="edited"),
    ],
    ids=str,
)
def test_an_edited_row_shows(database, append, act, edit):
    fill(append, act, seed=2, acts=200)
    database.write(lambda tx: tx.execute(edit)).result()
    _, deviations = database.read(rebuild.compare)
    assert {d.missing for d in deviations} == {True, False}


def test_an_operation_whose_changes_do_not_fit_is_not_appended(database, append, act):
    history = History(random.Random(0))
    history.versions["ghost"] = {1: None}
    with pytest.raises(IntegrityFailure, match="ghost"):
        append(act(*history._tag("ghost"), model="ghost"))
    assert database.read(log.newest)[0] == 0


def test_projections_of_another_version_are_rebuilt_when_opened(database, append, act, place):
    fill(append, act, seed=2, acts=60)
    whole = database.read(projections.dump)

    def age(tx):
        tx.execute(meta.update().where(meta.c.key == "projections").values(value="0"))
        projections.clear(tx)

    database.write(age).result()
    database.close()
    again = open_database(place)
    assert again.read(projections.dump) == whole
    again.close()
