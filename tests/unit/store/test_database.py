"""Group commit and snapshots: what callers of `Database` rely on."""

import asyncio
import gc
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from lastgood.errors import LastgoodError, NotFound, StoreUnavailable
from lastgood.store import sqlite as sqlite_store
from lastgood.store.database import Database
from lastgood.store.sqlite import Sqlite
from lastgood.store.sqlite_failures import explain_sqlite

PATH = Path("lastgood.db")


@pytest.fixture
def database(path):
    opened = Database(Sqlite(path))
    opened.write(lambda tx: tx.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY)")).result()
    yield opened
    opened.close()


def insert(*numbers):
    def unit(tx):
        for number in numbers:
            tx.exec_driver_sql("INSERT INTO t VALUES (?)", (number,))
        return numbers[-1]

    return unit


def rows(connection):
    return list(connection.exec_driver_sql("SELECT n FROM t ORDER BY n").scalars())


@pytest.fixture
def gate(database):
    """Holds the writer, so that what is queued meanwhile becomes one group."""
    entered, leave = threading.Event(), threading.Event()

    def unit(_tx):
        entered.set()
        leave.wait(30)

    holding = database.write(unit)
    entered.wait(30)
    yield leave
    leave.set()
    holding.result(30)


def test_a_write_returns_the_result_of_its_unit(database):
    assert database.write(insert(7)).result() == 7
    assert database.read(rows) == [7]


def test_a_group_runs_in_the_order_queued_and_each_unit_sees_those_before(database, gate):
    seen = [database.write(lambda tx, n=n: (insert(n)(tx), rows(tx))[1]) for n in range(20)]
    gate.set()
    assert [future.result() for future in seen] == [list(range(n + 1)) for n in range(20)]


def test_a_failing_unit_leaves_no_trace_and_harms_nobody_else_of_its_group(database, gate):
    def refused(tx):
        insert(100, 101)(tx)
        raise NotFound("no such thing")

    futures = [
        database.write(insert(1)),
        database.write(refused),
        database.write(insert(1)),  # the same key again: SQLite itself refuses
        database.write(lambda tx: tx.exec_driver_sql("SELECT * FROM no_such_table")),
        database.write(insert(2)),
    ]
    gate.set()
    assert futures[0].result() == 1
    with pytest.raises(NotFound):
        futures[1].result()
    with pytest.raises(sa.exc.IntegrityError):
        futures[2].result()
    with pytest.raises(sa.exc.OperationalError, match="no_such_table"):
        futures[3].result()
    assert futures[4].result() == 2
    assert database.read(rows) == [1, 2]


def test_a_unit_refused_after_it_wrote_leaves_no_trace_and_takes_none_of_its_group_along(
    database, gate
):
    runs = []

    def regrets(tx):
        runs.append("regrets")
        insert(1)(tx)
        raise NotFound("after all")

    def stays(tx):
        runs.append("stays")
        return insert(2)(tx)

    futures = [database.write(stays), database.write(regrets), database.write(insert(3))]
    gate.set()
    assert futures[0].result() == 2
    with pytest.raises(NotFound, match="after all"):
        futures[1].result()
    assert futures[2].result() == 3
    assert database.read(rows) == [2, 3]
    # SQLite runs the group again; what it did the first time is gone, or the key 2 would have been taken.
    assert runs.count("stays") == runs.count("regrets")


def test_a_refused_unit_takes_the_tables_along_that_it_made(database, gate):
    def regrets(tx):
        tx.exec_driver_sql("CREATE TABLE regretted (id INTEGER)")
        raise NotFound("after all")

    futures = [database.write(insert(1)), database.write(regrets)]
    gate.set()
    with pytest.raises(NotFound):
        futures[1].result()
    assert futures[0].result() == 1
    assert "regretted" not in database.peek(lambda c: sa.inspect(c).get_table_names())


def test_a_unit_refused_before_it_wrote_does_not_make_its_group_run_again(database, gate):
    runs = []

    def refused(tx):
        runs.append(rows(tx))
        raise NotFound("nothing here")

    futures = [database.write(insert(1)), database.write(refused), database.write(insert(2))]
    gate.set()
    with pytest.raises(NotFound):
        futures[1].result()
    assert [futures[0].result(), futures[2].result()] == [1, 2]
    assert runs == [[1]]


def test_neighbours_of_one_kind_are_stored_together_in_their_order(database, gate):
    calls = []

    def together(tx, items):
        calls.append(list(items))
        for item in items:
            insert(item)(tx)
        return [item * 10 for item in items]

    first = [database.write_together(together, n) for n in (1, 2, 3)]
    between = database.write(rows)
    last = [database.write_together(together, n) for n in (4, 5)]
    gate.set()
    assert [future.result() for future in first + last] == [10, 20, 30, 40, 50]
    assert between.result() == [1, 2, 3]
    assert calls == [[1, 2, 3], [4, 5]]


def test_of_writes_together_each_is_refused_alone(database, gate):
    def even(tx, items):
        good = [n for n in items if n % 2 == 0]
        if good:
            insert(*good)(tx)
        return [n if n % 2 == 0 else NotFound(f"{n} is odd") for n in items]

    futures = [database.write_together(even, n) for n in (1, 2, 3, 4)]
    gate.set()
    assert [type(future.exception()) for future in futures] == [
        NotFound,
        type(None),
        NotFound,
        type(None),
    ]
    assert database.read(rows) == [2, 4]


def test_writes_together_that_fail_are_tried_one_by_one(database, gate):
    sizes = []

    def together(tx, items):
        sizes.append(len(items))
        for item in items:
            insert(item)(tx)
        return list(items)

    futures = [database.write_together(together, n) for n in (1, 2, 2, 3)]
    gate.set()
    assert [futures[i].result() for i in (0, 1, 3)] == [1, 2, 3]
    assert "UNIQUE" in str(futures[2].exception())
    assert database.read(rows) == [1, 2, 3]
    assert sizes == [4, 1, 1, 1, 1]


def test_nothing_of_a_group_is_visible_before_it_is_committed(database):
    between, leave = threading.Event(), threading.Event()

    def slow(tx):
        insert(1)(tx)
        between.set()
        leave.wait(30)
        insert(2)(tx)

    future = database.write(slow)
    assert between.wait(30)
    assert database.read(rows) == []  # neither waits for the writer nor sees half of its work
    assert database.peek(rows) == []
    leave.set()
    future.result()
    assert database.read(rows) == [1, 2]


def test_a_read_is_one_snapshot_while_writes_go_on(database):
    def query(connection):
        before = rows(connection)
        database.write(insert(1)).result()
        return before, rows(connection)

    assert database.read(query) == ([], [])
    assert database.read(rows) == [1]


def test_one_statement_outside_a_snapshot_would_see_the_change(database):
    """The control of the test above: without the transaction the second look differs."""

    def query(connection):
        before = rows(connection)
        database.write(insert(1)).result()
        return before, rows(connection)

    assert database.peek(query) == ([], [1])


def test_an_error_in_a_read_ends_its_snapshot(database):
    def query(connection):
        rows(connection)
        raise NotFound("nothing here")

    with pytest.raises(NotFound):
        database.read(query)
    database.write(insert(1)).result()
    assert database.read(rows) == [1]


def test_a_caller_that_goes_away_takes_neither_its_write_nor_the_writer_with_it(database, gate):
    async def client():
        await asyncio.wrap_future(database.write(insert(1)))

    async def main():
        task = asyncio.create_task(client())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()

    asyncio.run(main())
    assert database.write(insert(2)).result(30) == 2
    assert database.read(rows) == [1, 2]


def test_a_unit_that_ends_its_thread_ends_neither_the_writer_nor_leaves_a_trace(database):
    def leaving(tx):
        insert(1)(tx)
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        database.write(leaving).result(30)
    assert database.write(insert(2)).result(30) == 2
    assert database.read(rows) == [2]


def test_after_close_writes_are_refused_and_what_was_queued_is_done(path):
    database = Database(Sqlite(path))
    database.write(lambda tx: tx.exec_driver_sql("CREATE TABLE t (n INTEGER)")).result()
    futures = [database.write(insert(n)) for n in range(50)]
    database.close()
    database.close()
    assert [future.result(0) for future in futures] == list(range(50))
    with pytest.raises(StoreUnavailable, match="closed"):
        database.write(insert(99)).result(0)


def test_writers_that_race_with_close_all_get_an_answer(path):
    database = Database(Sqlite(path))
    database.write(lambda tx: tx.exec_driver_sql("CREATE TABLE t (n INTEGER)")).result()
    futures: list = []
    threads = [
        threading.Thread(
            target=lambda: futures.extend(database.write(insert(1)) for _ in range(50))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    database.close()
    for thread in threads:
        thread.join()
    acknowledged = sum(future.exception(30) is None for future in futures)
    with sqlite3.connect(path) as direct:
        assert direct.execute("SELECT count(*) FROM t").fetchone() == (acknowledged,)
    direct.close()


def test_connections_of_threads_that_ended_are_closed(database):
    def burst():
        threads = [threading.Thread(target=lambda: database.read(rows)) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gc.collect()
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    burst()
    first = burst()
    for _ in range(5):
        last = burst()
    # SQLite keeps some descriptors to use again, so the number may move; it must not grow by each burst.
    assert last < first + 40


def test_a_database_locked_by_another_process_is_said_so(path, monkeypatch):
    monkeypatch.setattr("lastgood.store.sqlite.BUSY_TIMEOUT_MS", 50)
    database = Database(Sqlite(path))
    database.write(lambda tx: tx.exec_driver_sql("CREATE TABLE t (n INTEGER)")).result()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked by another process") as refused:
        database.write(insert(1)).result(30)
    assert refused.value.hint
    assert database.read(rows) == []  # reads go on
    other.execute("ROLLBACK")
    other.close()
    assert database.write(insert(2)).result(30) == 2
    database.close()


def test_a_file_that_is_no_database_is_refused_in_our_words(path):
    path.write_bytes(b"not a database, but long enough to look at. " * 100)
    with pytest.raises(LastgoodError) as refused:
        Database(Sqlite(path))
    assert isinstance(refused.value, StoreUnavailable)
    assert str(path) in refused.value.message


def test_a_missing_directory_is_refused_in_our_words(tmp_path):
    with pytest.raises(StoreUnavailable, match="unable to open"):
        Database(Sqlite(tmp_path / "absent" / "lastgood.db"))


def test_only_failures_of_the_store_doom_a_group():
    def error(code):
        found = sqlite3.OperationalError("x")
        found.sqlite_errorcode = code
        return sa.exc.OperationalError("select", {}, found)

    for code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_READONLY_DBMOVED):
        assert explain_sqlite(PATH, error(code))
    for code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_TOOBIG):
        assert not explain_sqlite(PATH, error(code))
    assert not explain_sqlite(PATH, ValueError("database or disk is full"))


def at_once(ask, count=4):
    """How many of several queries that ask for company ran at the same time."""
    inside, most, lock = 0, 0, threading.Lock()

    def query(_connection):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.05)
        with lock:
            inside -= 1

    threads = [threading.Thread(target=ask, args=(query,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return most


def test_surveys_take_turns(database, monkeypatch):
    monkeypatch.setattr(sqlite_store, "TURN_PATIENCE_S", 60.0)
    assert at_once(database.survey) == 1
    assert at_once(database.read) > 1


def test_nobody_waits_long_for_a_slow_survey(database):
    began, done = threading.Event(), threading.Event()

    def slow(_connection):
        began.set()
        return done.wait(60)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(database.survey, slow)
        assert began.wait(60)
        assert database.survey(lambda _: "here") == "here"
        done.set()
        assert waiting.result() is True


def test_warming_runs_every_query_and_drops_what_comes_of_them(database):
    seen = []

    def look(connection):
        seen.append(connection.execute(sa.text("SELECT 1")).scalar_one())

    def refuse(connection):
        connection.execute(sa.text("SELECT nothing FROM nowhere"))

    database.warm([look, refuse, look, refuse, look] * 10)
    assert seen == [1] * 30
    assert database.read(lambda c: c.execute(sa.text("SELECT 2")).scalar_one()) == 2
