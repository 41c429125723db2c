"""What only PostgreSQL can get wrong: other writers, lost connections, text it does not take, passwords."""

import signal
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import NamedTuple

import psycopg
import pytest
import sqlalchemy as sa

from lastgood.core.changes import ModelCreated
from lastgood.core.operations import Act, Actor, Origin
from lastgood.errors import InvalidInput, NotFound, StoreUnavailable
from lastgood.store import log
from lastgood.store import postgresql as module
from lastgood.store import postgresql_wire as wire
from lastgood.store.address import parse_address
from lastgood.store.database import Database
from lastgood.store.open import open_database
from lastgood.store.statement import Statement, ask_all
from postgresql_server import PASSWORD, running_postgresql

WAIT_S = 60.0


def made(name):
    return Act(
        kind="create-model",
        model=name,
        actor=Actor(name="ann"),
        origin=Origin(),
        changes=(ModelCreated(model=name),),
    )


def append(name):
    return lambda tx: log.append(tx, made(name), now=1).seq


@pytest.fixture
def address(postgresql):
    return parse_address(postgresql.fresh())


@pytest.fixture
def pair(address):
    """The databases of two servers."""
    opened = [open_database(address), open_database(address)]
    yield opened
    for database in opened:
        database.close()


def interleaved(one, other):
    """One server's unit looks, and appends only when the other's had its chance to do the same."""
    looked, go_on = threading.Event(), threading.Event()

    def slow(tx):
        log.newest(tx)
        looked.set()
        go_on.wait(WAIT_S)
        return append("slow")(tx)

    first = one.write(slow)
    assert looked.wait(WAIT_S)
    second: Future[int] = other.write(append("quick"))
    go_on.set()
    return first, second


def test_the_writers_of_two_servers_take_turns(pair):
    first, second = interleaved(*pair)
    assert first.result(WAIT_S) == 1
    assert second.result(WAIT_S) == 2
    assert [flaw for _, flaw in pair[0].read(lambda c: list(log.verify_chain(c)))] == ["", ""]


def test_without_their_common_lock_one_would_decide_on_a_state_that_is_gone(pair, monkeypatch):
    """The control of the test above."""
    looked, go_on = threading.Event(), threading.Event()

    def slow(tx):
        newest = log.newest(tx)[0]
        looked.set()
        go_on.wait(WAIT_S)
        return newest

    first = pair[0].write(slow)
    assert looked.wait(WAIT_S)
    monkeypatch.setattr(module, "WRITE_LOCK", module.WRITE_LOCK + 1)
    assert pair[1].write(append("quick")).result(WAIT_S) == 1
    go_on.set()
    assert first.result(WAIT_S) == 0


def test_an_operation_of_another_server_is_announced_and_nothing_else_is(pair):
    heard: list[int] = []
    something, stop = threading.Event(), threading.Event()

    def listen():
        for _ in pair[0].changes(stop):
            heard.append(pair[0].read(log.newest)[0])
            something.set()

    listener = threading.Thread(target=listen)
    listener.start()
    assert something.wait(WAIT_S)  # once when it begins, for what it missed
    something.clear()
    count = sa.text("CREATE TABLE other (n INTEGER)")
    pair[1].write(lambda tx: tx.execute(count)).result(WAIT_S)
    pair[1].write(append("churn")).result(WAIT_S)
    assert something.wait(WAIT_S)
    stop.set()
    listener.join(WAIT_S)
    assert heard == [0, 1]


def test_text_with_a_nul_is_refused_as_the_senders_mistake(pair):
    database = pair[0]
    futures = [
        database.write(append(name)) for name in ("before", "with \x00 in it", "after", "again")
    ]
    assert [futures[i].result(WAIT_S) for i in (0, 2, 3)] == [1, 2, 3]
    with pytest.raises(InvalidInput, match="NUL"):
        futures[1].result(WAIT_S)
    with pytest.raises(InvalidInput, match="NUL"):
        database.read(lambda c: log.by_idempotency_key(c, "\x00"))
    with pytest.raises(InvalidInput):
        database.read(lambda c: log.page(c, limit=1, before_seq=2**70))
    assert database.read(log.newest)[0] == 3


def test_a_restart_of_postgresql_costs_what_was_under_way_and_no_more():
    with running_postgresql() as server:
        database = open_database(parse_address(server.fresh()))
        assert database.write(append("before")).result(WAIT_S) == 1
        entered, leave = threading.Event(), threading.Event()

        def unit(tx):
            entered.set()
            leave.wait(WAIT_S)
            return append("lost")(tx)

        under_way = database.write(unit)
        assert entered.wait(WAIT_S)
        server.stop()
        leave.set()
        with pytest.raises(StoreUnavailable) as lost:
            under_way.result(WAIT_S)
        assert lost.value.hint
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            database.write(append("nobody there")).result(WAIT_S)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            database.read(log.newest)
        server.start()
        assert database.read(log.newest)[0] == 1
        assert database.write(append("after")).result(WAIT_S) == 2
        # A connection that was cut while it was idle is not even noticed.
        server.stop()
        server.start()
        assert database.write(append("again")).result(WAIT_S) == 3
        assert database.read(log.newest)[0] == 3
        database.close()


@pytest.fixture
def table(address):
    """A table with a key, through our own statements."""
    t = sa.Table("t", sa.MetaData(), sa.Column("n", sa.BigInteger, primary_key=True))
    database = open_database(address)
    database.write(t.create).result(WAIT_S)
    yield Numbers(database, Statement(t.insert(), ["n"]), Statement(sa.select(t.c.n).order_by("n")))
    database.close()


class Numbers(NamedTuple):
    database: Database
    insert: Statement
    rows: Statement

    def add(self, *numbers):
        def unit(tx):
            for n in numbers:
                self.insert.run(tx, {"n": n})
            return numbers[-1]

        return unit

    def held(self, *units):
        """What became of units that were all in one group."""
        entered, leave = threading.Event(), threading.Event()

        def gate(tx):
            entered.set()
            leave.wait(WAIT_S)

        self.database.write(gate)
        assert entered.wait(WAIT_S)
        futures = [self.database.write(unit) for unit in units]
        leave.set()
        return [future.exception(WAIT_S) or future.result() for future in futures]

    def now(self):
        return [n for (n,) in self.database.read(self.rows.all)]


def test_a_statement_that_fails_on_its_way_to_the_commit_is_its_units_fault_alone(table):
    runs = []

    def regrets(tx):
        runs.append("regrets")
        table.add(20)(tx)
        raise NotFound("after all")

    first, doubled, regretted, last = table.held(
        table.add(1, 2), table.add(3, 1), regrets, table.add(4)
    )
    assert (first, last) == (2, 4)
    assert isinstance(doubled, psycopg.errors.UniqueViolation)
    assert isinstance(regretted, NotFound)
    assert table.now() == [1, 2, 4]
    assert runs == ["regrets"] * 2


def test_a_unit_refused_after_it_changed_something_and_asked_at_once_leaves_no_trace(table):
    t = sa.table("t", sa.column("n", sa.BigInteger))
    adding = Statement(t.insert().values(n=sa.bindparam("n_")).returning(t.c.n))

    def regrets(tx):
        assert adding.scalar(tx, {"n_": 7}) == 7
        raise NotFound("after all")

    kept, refusal, last = table.held(table.add(1), regrets, table.add(2))
    assert (kept, last) == (1, 2)
    assert isinstance(refusal, NotFound)
    assert table.now() == [1, 2]


def test_a_unit_that_only_looked_is_refused_without_a_second_run(table):
    runs = []

    def refused(tx):
        runs.append(table.rows.all(tx))
        raise NotFound("nothing here")

    kept, refusal, last = table.held(table.add(1), refused, table.add(2))
    assert (kept, last) == (1, 2)
    assert isinstance(refusal, NotFound)
    assert runs == [[(1,)]]


def test_a_unit_that_passes_over_an_error_of_the_database_is_not_acknowledged(table):
    def careless(tx):
        table.add(5)(tx)
        with suppress(psycopg.Error):
            table.insert.count(tx, {"n": 5})
        return "done"

    kept, refusal, last = table.held(table.add(1), careless, table.add(2))
    assert (kept, last) == (1, 2)
    assert isinstance(refusal, psycopg.errors.InFailedSqlTransaction)
    assert table.now() == [1, 2]


def cutting(table, postgresql, runs, *, then):
    """A unit whose connection is cut when it runs for the first time."""

    def unit(tx):
        pid = tx.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        runs.append(pid)
        table.add(1)(tx)
        if len(runs) == 1:
            postgresql.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
        return then(tx)

    return unit


def test_a_connection_lost_before_the_commit_was_sent_costs_a_second_run(table, postgresql):
    runs = []
    unit = cutting(table, postgresql, runs, then=table.rows.all)
    assert table.database.write(unit).result(WAIT_S) == [(1,)]
    assert len(set(runs)) == len(runs) == 2
    assert table.now() == [1]


def test_a_connection_lost_at_the_commit_is_told_and_nothing_is_repeated(table, postgresql):
    runs = []
    unit = cutting(table, postgresql, runs, then=lambda _: None)
    with pytest.raises(StoreUnavailable, match="lost") as lost:
        table.database.write(unit).result(WAIT_S)
    assert "look before you repeat" in lost.value.hint
    assert len(runs) == 1
    assert table.database.write(table.add(2)).result(WAIT_S) == 2
    assert table.now() == [2]


def test_what_is_kept_back_is_seen_by_whatever_asks_next(table):
    seen = []

    def unit(tx):
        for n in range(3 * wire.KEPT_MAX):
            table.add(n)(tx)
            if n % 50 == 0:
                seen.append(table.rows.all(tx)[-1][0])
                seen.append(tx.exec_driver_sql("SELECT max(n) FROM t").scalar())
        return tx.exec_driver_sql("SELECT count(*) FROM t").scalar()

    assert table.database.write(unit).result(WAIT_S) == 3 * wire.KEPT_MAX
    assert seen == [n for n in range(0, 3 * wire.KEPT_MAX, 50) for _ in (1, 2)]


def test_what_is_asked_at_once_is_one_snapshot_while_others_write(table):
    counting = Statement(sa.select(sa.func.count()).select_from(sa.table("t")))
    resting = Statement(sa.select(sa.func.pg_sleep(0.1)))
    stop = threading.Event()

    def write():
        n = 0
        while not stop.wait(0.001):
            n += 1
            table.database.write(table.add(n)).result(WAIT_S)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        asked = [(counting, {}), (resting, {}), (counting, {})]
        looks = [table.database.glance(lambda c: ask_all(c, asked)) for _ in range(5)]
        seen = [(before, after) for ((before,),), _, ((after,),) in looks]
    finally:
        stop.set()
        writer.join(WAIT_S)
    assert [before - after for before, after in seen] == [0] * len(looks)


def test_what_is_asked_one_after_the_other_is_no_snapshot(table):
    """The control of the test above."""

    def query(connection):
        before = table.rows.all(connection)
        table.database.write(table.add(1)).result(WAIT_S)
        return before, table.rows.all(connection)

    assert table.database.glance(query) == ([], [(1,)])


def test_a_reader_cannot_write(table):
    with pytest.raises(StoreUnavailable, match="read-only"):
        table.database.peek(lambda c: table.insert.count(c, {"n": 1}))
    with pytest.raises(StoreUnavailable, match="read-only"):
        table.database.read(lambda c: table.insert.count(c, {"n": 1}))
    assert table.now() == []


def test_a_write_waits_for_what_it_asks_and_for_its_commit(table, monkeypatch):
    table.database.write(table.add(1)).result(WAIT_S)
    sent = []
    send = wire.Wire._send
    monkeypatch.setattr(wire.Wire, "_send", lambda self: (sent.append(1), send(self))[1])

    def unit(tx):
        found = table.rows.all(tx)
        table.add(2, 3)(tx)
        return found

    assert table.database.write(unit).result(WAIT_S) == [(1,)]
    assert len(sent) == 2


def test_more_statements_than_a_connection_keeps_ready(table, monkeypatch):
    monkeypatch.setattr(wire, "PREPARED_MAX", 3)
    many = [Statement(sa.select(sa.literal_column(str(n)))) for n in range(8)]
    for _ in range(3):
        found = table.database.read(lambda c: [each.scalar(c) for each in many])
        assert found == list(range(8))
        assert table.database.read(lambda c: ask_all(c, [(each, {}) for each in many])) == [
            [(n,)] for n in range(8)
        ]
        # In a transaction that failed nothing can be dropped, and it ends in order all the same.
        with pytest.raises(psycopg.errors.UndefinedTable):
            table.database.read(Statement(sa.select(sa.table("nowhere", sa.column("n")))).all)
    ready = sa.text("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'lastgood%'")
    assert table.database.peek(lambda c: c.execute(ready).scalar()) <= 3 + len(many)


def test_a_wait_that_is_interrupted_costs_its_connection_and_no_more(table):
    sleep = Statement(sa.select(sa.func.pg_sleep(WAIT_S)))

    class Interrupted(BaseException):
        pass

    def interrupt(*_):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(Interrupted):
            table.database.read(sleep.all)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert table.now() == []
    assert table.database.write(table.add(1)).result(WAIT_S) == 1


def test_a_reader_that_fails_gives_its_connection_back(pair):
    def refused(connection):
        log.newest(connection)
        raise NotFound("no such thing")

    for _ in range(2 * module.READERS_MAX):
        with pytest.raises(NotFound):
            pair[0].read(refused)
        with pytest.raises(sa.exc.ProgrammingError):
            pair[0].peek(lambda c: c.exec_driver_sql("SELECT nonsense"))
    assert pair[0].read(log.newest)[0] == 0


def test_more_readers_than_connections_wait_for_their_turn(pair):
    failures = []

    def look():
        try:
            for _ in range(5):
                assert pair[0].read(log.newest)[0] == 0
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=look) for _ in range(3 * module.READERS_MAX)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert failures == []


def test_acknowledged_is_durable_even_where_the_server_is_set_otherwise(postgresql, address):
    schema = address.public.rpartition("%3D")[2]
    postgresql.execute(f"CREATE ROLE {schema} LOGIN SUPERUSER")
    postgresql.execute(f"ALTER ROLE {schema} SET synchronous_commit = 'off'")
    url = address.full.replace("postgres@", f"{schema}@")
    assert postgresql.execute("SHOW synchronous_commit", url=url) == [("off",)]
    database = open_database(parse_address(url))
    shown = database.write(lambda tx: tx.exec_driver_sql("SHOW synchronous_commit").scalar())
    assert shown.result(WAIT_S) == "on"
    database.close()


def test_a_database_of_another_program_is_left_alone(postgresql, address):
    postgresql.execute("CREATE TABLE runs (a INTEGER)", url=address.full)
    with pytest.raises(StoreUnavailable, match="was not made by lastgood"):
        open_database(address)
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    assert postgresql.execute(tables, url=address.full) == [("runs",)]


def test_an_encoding_that_cannot_hold_all_text_is_refused(postgresql):
    postgresql.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StoreUnavailable, match="LATIN1"):
        open_database(parse_address(postgresql.url("latin")))


def test_a_password_opens_the_database_and_is_shown_nowhere(postgresql, monkeypatch):
    place = f"127.0.0.1:{postgresql.port}/postgres"
    schema = postgresql.fresh().rpartition("%3D")[2]
    options = f"options=-csearch_path%3D{schema}"
    given = parse_address(f"postgres://postgres:s3cret%2Fof%3Atests@{place}?{options}")
    by_option = parse_address(
        f"postgresql://postgres@{place}?password=s3cret%2Fof%3Atests&{options}"
    )
    assert given == by_option
    assert given.public == f"postgresql://postgres@{place}?{options}"
    for address in (given, by_option):
        database = open_database(address)
        assert PASSWORD[:6] not in f"{address} {address!r} {database.place}"
        database.close()
    public = parse_address(given.public)
    assert public.full == public.public
    with pytest.raises(StoreUnavailable, match="password") as refused:
        open_database(public)
    assert refused.value.hint
    with pytest.raises(StoreUnavailable, match="password authentication failed") as refused:
        open_database(parse_address(f"postgresql://postgres:wrong-s3cret@{place}"))
    assert "s3cret" not in refused.value.message
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    open_database(public).close()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:s3cret@host/db",
        "postgresql://root:s3cret@host",
        "postgresql://root:s3cret@host/",
        "postgresql://root:s3cret@[host/db",
        "postgresql://root:s3cret@host/db#s3cret",
        'postgresql://root:s3cret@host/d"b',
        "postgresql://root:s3cret@host/d b",
        "postgresql:root:s3cret",
        "postgresql://u:s3cret@host/db?password",
        "s3cret",
        "",
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(url):
    with pytest.raises(InvalidInput) as refused:
        parse_address(url)
    assert "s3cret" not in refused.value.message + refused.value.hint


def test_an_option_that_the_driver_does_not_know_is_refused_without_showing_secrets():
    with pytest.raises(StoreUnavailable) as refused:
        open_database(parse_address("postgresql://u:s3cret@127.0.0.1:1/db?nonsense=1"))
    assert "s3cret" not in str(refused.value)
    assert not isinstance(refused.value.__cause__, psycopg.Error)
