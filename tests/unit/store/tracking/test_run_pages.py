"""Pages of runs are what filtering and sorting all of them in Python gives, however they are found."""

import itertools
import math
import random
from dataclasses import replace

import pytest

from lastgood.core.filter_parser import parse_filter, parse_order
from lastgood.core.tracking import Metric, Run
from lastgood.store.open import open_database
from lastgood.store.tracking import metrics as metric_store
from lastgood.store.tracking import runs as run_store
from lastgood.store.tracking.keyset import Paging
from lastgood.store.tracking.run_search import FEW, search_runs

LONG = "x" * 199
NAMES = ["ann", "ben", "Ben", "bens", "cat"]
TEXTS = ["a", "ab", "abc", "B", LONG, LONG + "yy", "", "\U0010ffff", "é"]
VALUES = [0.0, 0.25, 0.25, -1.5, math.inf, -math.inf, math.nan]
RUNS = 120


def made(generator, i):
    """A run, its metrics, parameters and tags; many values are the same."""
    run = Run(
        run_id=f"{generator.getrandbits(64):016x}",
        experiment_id=generator.choice([1, 1, 1, 2, 3]),
        name=generator.choice(NAMES),
        user_id=generator.choice(["u", "v"]),
        status=generator.choice(["RUNNING", "FINISHED", "FAILED"]),
        start_ms=1000 + i // 3,
        end_ms=generator.choice([None, 5, 6, 7]),
        lifecycle=generator.choice(["active", "active", "active", "deleted"]),
        artifact_uri=f"uri{i % 7}",
    )

    def some(keys, values):
        return {key: generator.choice(values) for key in keys if generator.random() < 0.7}

    return run, some("mn", VALUES), some("pq", TEXTS), some("tu", TEXTS)


@pytest.fixture(scope="module")
def known():
    generator = random.Random(7)
    return [made(generator, i) for i in range(RUNS)]


@pytest.fixture(scope="module")
def database(tmp_path_factory, known):
    database = open_database(tmp_path_factory.mktemp("runs") / "lastgood.db")

    def fill(tx):
        for run, metrics, params, tags in known:
            new = run_store.add_run(tx, run, tags)
            run_store.add_params(tx, new, params)
            points = [Metric(key, value, 1, 1) for key, value in metrics.items()]
            metric_store.add_metrics(tx, new, points)

    database.write(fill).result()
    yield database
    database.close()


def metric(key, test):
    return lambda r: key in r[1] and test(r[1][key])


def param(key, test):
    return lambda r: key in r[2] and test(r[2][key])


def tag(key, test):
    return lambda r: key in r[3] and test(r[3][key])


def attribute(name, test):
    return lambda r: getattr(r[0], name) is not None and test(getattr(r[0], name))


FILTERS = {
    "metrics.m > 0": metric("m", lambda v: v > 0),
    "metrics.m <= 0.25": metric("m", lambda v: v <= 0.25),
    "metrics.m = 0.25": metric("m", lambda v: v == 0.25),
    "metrics.m != 0.25": metric("m", lambda v: v != 0.25),
    "metrics.n >= -1.5": metric("n", lambda v: v >= -1.5),
    "metrics.none > 0": lambda _: False,
    "params.p = 'ab'": param("p", lambda v: v == "ab"),
    f"params.p = '{LONG}'": param("p", lambda v: v == LONG),
    f"params.p = '{LONG}yy'": param("p", lambda v: v == LONG + "yy"),
    f"params.p = '{LONG}yz'": lambda _: False,
    "params.p != 'ab'": param("p", lambda v: v != "ab"),
    "params.q LIKE 'ab%'": param("q", lambda v: v.startswith("ab")),
    "params.q LIKE 'a_c'": param("q", lambda v: v == "abc"),
    "params.q LIKE '\U0010ffff%'": param("q", lambda v: v == "\U0010ffff"),
    f"params.q LIKE '{LONG}y%'": param("q", lambda v: v == LONG + "yy"),
    "params.q ILIKE '%b%'": param("q", lambda v: "b" in v.lower()),
    "params.q LIKE '%b%'": param("q", lambda v: "b" in v),
    "params.q LIKE '%yy'": param("q", lambda v: v.endswith("yy")),
    "tags.t ILIKE '%YY'": tag("t", lambda v: v.endswith("yy")),
    "params.p IS NULL": lambda r: "p" not in r[2],
    "tags.t = ''": tag("t", lambda v: v == ""),
    f"tags.t IN ('a', 'B', '{LONG}yy')": tag("t", lambda v: v in {"a", "B", LONG + "yy"}),
    "tags.u IS NOT NULL": lambda r: "u" in r[3],
    "tags.u NOT IN ('a')": tag("u", lambda v: v != "a"),
    "status = 'RUNNING'": attribute("status", lambda v: v == "RUNNING"),
    "status != 'RUNNING'": attribute("status", lambda v: v != "RUNNING"),
    "user_id = 'u'": attribute("user_id", lambda v: v == "u"),
    "run_name LIKE 'ben%'": attribute("name", lambda v: v.startswith("ben")),
    "run_name ILIKE 'ben'": attribute("name", lambda v: v.lower() == "ben"),
    "run_name ILIKE '%EN%'": attribute("name", lambda v: "en" in v.lower()),
    "start_time > 1010": attribute("start_ms", lambda v: v > 1010),
    "start_time <= 1030": attribute("start_ms", lambda v: v <= 1030),
    "end_time >= 6": attribute("end_ms", lambda v: v >= 6),
    "artifact_uri = 'uri3'": attribute("artifact_uri", lambda v: v == "uri3"),
}


def texts(index, key):
    def rank(r):
        value = r[index].get(key)
        return (2, "") if value is None else (0, value[:200])

    return rank


def number(key):
    def rank(r):
        value = r[1].get(key)
        return (2, 0.0) if value is None else (1, 0.0) if math.isnan(value) else (0, value)

    return rank


ORDERS = {
    "metrics.m": number("m"),
    "metrics.none": number("none"),
    "params.p": texts(2, "p"),
    "tags.t": texts(3, "t"),
    "attributes.end_time": lambda r: (2, 0) if r[0].end_ms is None else (0, r[0].end_ms),
    "attributes.status": lambda r: (0, r[0].status),
    "attributes.run_name": lambda r: (0, r[0].name),
    "attributes.user_id": lambda r: (0, r[0].user_id),
    "attributes.artifact_uri": lambda r: (0, r[0].artifact_uri),
    "attributes.start_time": lambda r: (0, r[0].start_ms),
    "attributes.run_id": lambda r: (0, r[0].run_id),
}


def expected(known, filters, orders, lifecycles, experiments):
    found = [
        r
        for r in known
        if r[0].experiment_id in experiments
        and r[0].lifecycle in lifecycles
        and all(FILTERS[text](r) for text in filters)
    ]
    found.sort(key=lambda r: r[0].run_id)
    found.sort(key=lambda r: -r[0].start_ms)
    for text, ascending in reversed(orders):
        found.sort(key=lambda r: ORDERS[text](r)[1], reverse=not ascending)
        found.sort(key=lambda r: ORDERS[text](r)[0])
    return [r[0].run_id for r in found]


def pages(database, paging, experiments, ways):
    """All pages, found in alternating ways: the place where one ends must mean the same in the other."""
    seen = []
    for few in itertools.cycle(ways):
        rows, last = database.read(
            lambda c, paging=paging, few=few: search_runs(c, experiments, paging, few=few)
        )
        seen += [run_id for run_id, _ in rows]
        assert len(rows) <= paging.limit
        if not last:
            return seen
        paging = replace(paging, after=last)
    raise AssertionError


WALK, NATURAL = -1, FEW


@pytest.mark.parametrize("seed", range(12))
def test_pages_of_whatever_is_asked(database, known, seed):
    generator = random.Random(seed)
    for _ in range(40):
        filters = generator.sample(sorted(FILTERS), generator.choice([0, 1, 1, 2, 3]))
        chosen = generator.sample(sorted(ORDERS), generator.choice([0, 1, 1, 1, 2]))
        orders = [(text, generator.random() < 0.5) for text in chosen]
        lifecycles = generator.choice([("active",), ("deleted",), ("active", "deleted")])
        experiments = generator.choice([[1], [1], [2], [1, 2], [1, 2, 3, 4]])
        paging = Paging(
            filters=parse_filter(" AND ".join(filters)),
            orders=parse_order([f"{text} {'ASC' if up else 'DESC'}" for text, up in orders]),
            lifecycles=lifecycles,
            limit=generator.choice([1, 2, 7, 40, 1000]),
        )
        ways = generator.choice([(WALK,), (NATURAL,), (WALK, NATURAL)])
        wanted = expected(known, filters, orders, lifecycles, experiments)
        found = pages(database, paging, experiments, ways)
        assert found == wanted, (filters, orders, lifecycles, experiments, paging.limit, ways)


SAME_FORM = {
    "metrics.m > {}": (1, [-2.0, 0.1, 0.25, -1.5], lambda sent, there: there > sent),
    "metrics.m < {}": (1, [5, -1, 2**40, 0], lambda sent, there: there < sent),
    "params.p = '{}'": (2, ["a", "B", "é", ""], lambda sent, there: there == sent),
    "tags.t LIKE '{}%'": (3, ["a", "ab", "x", "é"], lambda sent, there: there.startswith(sent)),
}


@pytest.mark.parametrize("text", SAME_FORM)
@pytest.mark.parametrize("few", [WALK, NATURAL])
def test_searches_that_differ_in_a_value_alone_find_their_own(database, known, text, few):
    of, values, matches = SAME_FORM[text]
    key = text.partition(" ")[0].partition(".")[2]
    for value in values + values[::-1]:
        paging = Paging(
            filters=parse_filter(text.format(value)), lifecycles=("active",), limit=1000
        )
        wanted = {
            r[0].run_id
            for r in known
            if r[0].lifecycle == "active" and key in r[of] and matches(value, r[of][key])
        }
        assert set(pages(database, paging, [1, 2, 3], (few,))) == wanted, value


INDEXED = {
    "": (),
    "metrics.m > 0": ("metrics.m DESC",),
    "metrics.m < 9": ("metrics.m ASC",),
    "metrics.n > 0": ("metrics.m DESC",),
    "params.p = 'ab'": (),
    "params.p = 'ab' AND metrics.m > 0": (),
    "tags.t LIKE 'ab%'": ("params.q ASC",),
    "status = 'RUNNING'": (),
    "user_id = 'u' AND metrics.m > 0": ("attributes.run_name DESC",),
    "start_time > 1010": (),
    "end_time > 5": ("attributes.end_time DESC",),
}


@pytest.mark.parametrize(("text", "order_by"), INDEXED.items())
@pytest.mark.parametrize("few", [WALK, NATURAL])
def test_no_page_reads_a_whole_table(database, text, order_by, few):
    for step in plan_of(database, text, order_by, few):
        assert not step.startswith("SCAN") or step == "SCAN some", step  # that has a limit
        if few == WALK:
            # Ties alone are sorted; a plan that sorts everything names no part.
            assert step != "USE TEMP B-TREE FOR ORDER BY", step


@pytest.mark.parametrize("text", ["params.p = 'ab'", "tags.t LIKE 'ab%'", "tags.t LIKE '%b%'"])
def test_candidates_are_counted_in_the_index_alone(database, text):
    counted = [
        step for step in plan_of(database, text, ("metrics.m DESC",), WALK) if "_value" in step
    ]
    assert all("COVERING" in step for step in counted), counted
    assert any("params_by_value" in step or "run_tags_by_value" in step for step in counted)


def test_a_page_without_index_reads_all(database):
    """The control of the test above."""
    steps = plan_of(database, "", ("attributes.artifact_uri",), WALK)
    assert "USE TEMP B-TREE FOR ORDER BY" in steps


def plan_of(database, text, order_by, few):
    """SQLite's plan for every statement of a search, from the statements that the driver saw."""
    paging = Paging(
        filters=parse_filter(text), orders=parse_order(order_by), lifecycles=("active",), limit=5
    )
    statements = []

    def look(connection):
        driver = connection.connection.driver_connection
        driver.set_trace_callback(statements.append)
        try:
            search_runs(connection, [1], paging, few=few)
        finally:
            driver.set_trace_callback(None)
        marks = ("FROM runs", "leading", "count", ".head")
        searching = [s for s in statements if any(mark in s for mark in marks)]
        assert searching
        for statement in searching:
            for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall():
                yield row[3]

    return database.read(lambda c: list(look(c)))
