"""A newer release migrates the schema while servers of this one go on writing: expand, and contract only later.

This release has one schema. Those of releases to come are made up here: one that only adds, as
every migration must, and as the control one that takes away what is in use.
"""

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lastgood.core.commands import Caller
from lastgood.core.operations import Actor
from lastgood.core.tracking import Metric
from lastgood.engine.artifacts import Artifacts
from lastgood.engine.catalogue import Catalogue
from lastgood.engine.open import existing_place, init_data_directory, open_engine
from lastgood.engine.tracking import Tracking
from lastgood.engine.tracking.evidence import Batch
from lastgood.engine.tracking.runs import NewRun
from lastgood.errors import StoreUnavailable
from lastgood.store import migrations
from lastgood.store.checks import check_store
from lastgood.store.database import Database
from lastgood.store.open import SCHEMA_REVISION, backend_of

NEXT = "9999"
PATIENCE_S = 60.0
ORIGINAL = migrations.configuration
HEAD = f"""
import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{SCHEMA_REVISION}"


def upgrade():
"""
EXPAND = """
    op.add_column("runs", sa.Column("colour", sa.Text(), nullable=True))
    op.add_column("operations", sa.Column("signature", sa.Text(), nullable=True))
    op.create_table("fleets", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_index("runs_by_colour", "runs", ["colour"])
"""
CONTRACT = """
    op.rename_table("metric_arrivals", "points")
"""


@dataclass
class Load:
    """Writers that note what was acknowledged, and what was not."""

    tracking: Tracking
    catalogue: Catalogue
    run_id: str
    points: list[int] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def log(self, number: int) -> None:
        metric = Metric("loss", float(number), number, number)
        self.tracking.evidence.log_batch(self.run_id, Batch(metrics=[metric])).result()
        self.points.append(number)

    def create(self, number: int) -> None:
        name = f"model-{number}"
        caller = Caller(actor=Actor(name="ann"))
        self.catalogue.create_model(name, description="", tags={}, caller=caller).result()
        self.models.append(name)

    def repeat(self, act: Callable[[int], None], first: int) -> None:
        for number in itertools.count(first, 10):
            if self.stop.is_set():
                return
            try:
                act(number)
            except Exception as error:
                self.failures.append(error)
                return

    def until_more(self, count: int = 40) -> None:
        wanted = len(self.points) + count, len(self.models) + count
        deadline = time.monotonic() + PATIENCE_S
        while not self.failures and (len(self.points), len(self.models)) < wanted:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def data(tmp_path, store_url):
    data = tmp_path / "data"
    init_data_directory(data, store_url=store_url)
    return data


def under_load(engine, during):
    """Run `during` while four threads write."""
    tracking = Tracking(engine.kernel)
    run, _ = tracking.runs.create(NewRun(experiment_id="0", tags={})).result()
    catalogue = Catalogue(engine.kernel, Artifacts(engine.kernel))
    load = Load(tracking, catalogue, run.run_id)
    work = [(load.log, 0), (load.log, 1), (load.create, 2), (load.create, 3)]
    threads = [threading.Thread(target=load.repeat, args=one) for one in work]
    for thread in threads:
        thread.start()
    try:
        load.until_more()
        during()
        load.until_more()
    finally:
        load.stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    return load


@pytest.fixture
def newer_release(tmp_path, monkeypatch):
    """Makes another release out of this one: one more migration."""
    known = migrations.configuration()

    def make(text):
        folder = tmp_path / "versions"
        folder.mkdir()
        (folder / "next.py").write_text(HEAD + text, encoding="utf-8")
        ours = Path(known.get_main_option("script_location")) / "versions"

        def configuration():
            known.set_main_option("path_separator", "newline")
            known.set_main_option("version_locations", f"{ours}\n{folder}")
            return known

        monkeypatch.setattr(migrations, "configuration", configuration)

    return make


def migrate(place):
    database = Database(backend_of(place))
    try:
        migrations.upgrade(database)
    finally:
        database.close()


def test_a_newer_release_migrates_while_this_one_writes(data, store_url, newer_release):
    newer_release(EXPAND)
    place = existing_place(data, store_url=store_url)[1]
    with open_engine(data, store_url=store_url) as engine:
        load = under_load(engine, lambda: migrate(place))
        assert load.failures == []
        history = load.tracking.searches.history(load.run_id, "loss")
        assert sorted(metric.step for metric in history.items) == sorted(load.points)
        assert {view.model for view in engine.registry.models()} == set(load.models)
        assert engine.registry.fsck().problems == ()
    assert check_store(place).schema == NEXT


def test_a_migration_that_takes_away_what_is_in_use_would_be_noticed(
    data, store_url, newer_release
):
    """The control of the test above."""
    newer_release(CONTRACT)
    place = existing_place(data, store_url=store_url)[1]
    with open_engine(data, store_url=store_url) as engine:
        assert under_load(engine, lambda: migrate(place)).failures != []


def test_this_release_does_not_open_what_a_newer_one_wrote(
    data, store_url, newer_release, monkeypatch
):
    newer_release(EXPAND)
    migrate(existing_place(data, store_url=store_url)[1])
    monkeypatch.setattr(migrations, "configuration", ORIGINAL)
    with pytest.raises(StoreUnavailable) as refusal:
        open_engine(data, store_url=store_url)
    assert NEXT in refusal.value.message
    assert "newer" in refusal.value.hint
