"""The catalogue below HTTP: what reads cost, what is durable when, what races end in."""

import threading

import pytest

from lastgood.core.commands import Caller, SetPolicy
from lastgood.core.operations import Actor
from lastgood.core.stages import Stage
from lastgood.engine.artifacts import Artifacts
from lastgood.engine.catalogue import Catalogue, Unchecked, VersionEntry
from lastgood.engine.register_source import NewVersion, PreparedVersion
from lastgood.engine.sources import Resolved, SourceClaim
from lastgood.errors import AlreadyExists, NotFound, Protected
from lastgood.store import rebuild

CALLER = Caller(actor=Actor(name="ann"))


@pytest.fixture
def catalogue(world):
    return Catalogue(world.engine.kernel, Artifacts(world.engine.kernel))


def external(name):
    return PreparedVersion(
        new=NewVersion(model=name, claim=SourceClaim(source="s3://b/m")), source=Resolved()
    )


def add_versions(catalogue, name, count):
    futures = [catalogue.register_version(external(name), caller=CALLER) for _ in range(count)]
    return [future.result().row.version for future in futures]


def steps_of(world, query):
    """How many instructions SQLite's machine runs for what the query reads; the same on every machine."""
    counted = [0]

    def count():
        counted[0] += 1

    database = world.engine.kernel.database
    if database.data_version() is None:
        pytest.skip("PostgreSQL does not count instructions")
    raw = database.peek(lambda c: c.connection.driver_connection)
    raw.set_progress_handler(count, 1)
    try:
        query()
    finally:
        raw.set_progress_handler(None, 0)
    return counted[0]


def test_what_a_model_costs_does_not_grow_with_its_versions(world, catalogue):
    for name, count in (("few", 8), ("many", 2000)):
        catalogue.create_model(name, description="", tags={}, caller=CALLER).result()
        add_versions(catalogue, name, count)
        for number, stage in ((1, Stage.PRODUCTION), (2, Stage.STAGING), (3, Stage.ARCHIVED)):
            catalogue.transition(
                name, number, to=stage, archive_existing=False, caller=CALLER
            ).result()
        catalogue.set_alias(name, "champion", 1, caller=CALLER).result()
    for read in (
        catalogue.model,
        catalogue.latest_versions,
        lambda name: catalogue.version_by_alias(name, "champion"),
        lambda name: catalogue.version_by_alias(name, "latest"),
        lambda name: catalogue.version(name, 5),
    ):
        few, many = (steps_of(world, lambda name=name: read(name)) for name in ("few", "many"))  # noqa: B023
        assert many < few * 1.5
    # The control: this measure does see work that grows.
    few, many = (
        steps_of(world, lambda name=name: world.registry.versions(name)) for name in ("few", "many")
    )
    assert many > few * 10


def test_racing_registrations_get_a_number_each(catalogue):
    catalogue.create_model("churn", description="", tags={}, caller=CALLER).result()
    numbers = []
    threads = [
        threading.Thread(target=lambda: numbers.extend(add_versions(catalogue, "churn", 20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 81))


def test_racing_creations_of_a_name_make_one_model(catalogue):
    futures = [
        catalogue.create_model(name, description="", tags={}, caller=CALLER)
        for name in ("churn", "Churn", "CHURN")
    ]
    assert [type(f.exception()) for f in futures] == [type(None), AlreadyExists, AlreadyExists]


def test_a_manifest_is_stored_before_it_is_named(world, catalogue):
    catalogue.create_model("churn", description="", tags={}, caller=CALLER).result()
    artifacts = Artifacts(world.engine.kernel)
    with artifacts.open_writer("0/run/artifacts/model/model.pkl") as writer:
        writer.write(b"weights")
        writer.commit().result()
    claim = SourceClaim(source="mlflow-artifacts:/0/run/artifacts/model")
    prepared = catalogue.prepare_version(NewVersion(model="churn", claim=claim), program="test")
    assert world.engine.kernel.objects.has(prepared.digest)
    assert not world.registry.versions("churn")
    catalogue.register_version(prepared, caller=CALLER).result()
    assert world.registry.show("churn/1").digest == prepared.digest


def test_a_model_deleted_while_its_version_was_prepared(catalogue):
    catalogue.create_model("churn", description="", tags={}, caller=CALLER).result()
    prepared = external("churn")
    catalogue.delete_model("churn", caller=CALLER).result()
    with pytest.raises(NotFound):
        catalogue.register_version(prepared, caller=CALLER).result()


def test_what_a_rollback_would_return_to_cannot_be_deleted(three):
    """Version 3 is live, 1 and 2 proved good: 2 is what a rollback returns to, 1 is needed by nobody."""
    catalogue = Catalogue(three.engine.kernel, Artifacts(three.engine.kernel))
    for number, why in ((3, "live in production"), (2, "the last good version of production")):
        with pytest.raises(Protected, match=why):
            catalogue.delete_version("churn", number, caller=CALLER).result()
    catalogue.delete_version("churn", 1, caller=CALLER).result()
    three.rollback()
    with pytest.raises(Protected, match="on hold in production"):
        catalogue.delete_version("churn", 3, caller=CALLER).result()
    catalogue.transition(
        "churn", 2, to=Stage.ARCHIVED, archive_existing=False, caller=CALLER
    ).result()
    with pytest.raises(Protected, match="last good version of production"):
        catalogue.delete_model("churn", caller=CALLER).result()


PROTECTING = """
[environments.eu]
protected = true
[environments.us]
"""


def test_only_what_puts_versions_before_users_asks_for_checked_bytes(three):
    """Guarded are `production`, a ref that a gateway follows, and what the policy protects."""
    catalogue = Catalogue(three.engine.kernel, Artifacts(three.engine.kernel))

    def alias(name, number=1, **options):
        catalogue.set_alias("churn", name, number, caller=CALLER, **options).result()

    def stage(to, **options):
        catalogue.transition(
            "churn", 1, to=to, archive_existing=False, caller=CALLER, **options
        ).result()

    for move in (alias, stage):
        with pytest.raises(Unchecked):
            move("production" if move is alias else Stage.PRODUCTION, checked=False)
    stage(Stage.STAGING, checked=False)
    for name in ("eu", "us", "canary", "free"):
        alias(name, checked=False)
    three.serve(ref="canary", gateway="gateway-2")
    three.registry.set_policy(SetPolicy(text=PROTECTING), caller=CALLER)
    head = three.registry.log()[0].seq
    for name in ("canary", "eu"):
        with pytest.raises(Unchecked):
            alias(name, 2, checked=False)
    assert three.registry.log()[0].seq == head
    for name in ("canary", "eu"):
        alias(name, 2)
    for name in ("us", "free"):
        alias(name, 2, checked=False)
    assert catalogue.version("churn", 2).aliases == ("canary", "eu", "free", "us")


def test_the_answer_is_the_version_as_the_act_left_it(world, catalogue):
    catalogue.create_model("churn", description="", tags={}, caller=CALLER).result()
    new = NewVersion(model="churn", claim=SourceClaim(source="s3://b/m"), tags={"a": "", "b": "2"})
    made = [
        catalogue.register_version(
            PreparedVersion(new=new, source=Resolved()), caller=CALLER
        ).result()
        for _ in range(2)
    ]
    assert [(m.row.version, m.tags) for m in made] == [(1, new.tags), (2, new.tags)]
    for name in ("b", "a"):
        catalogue.set_alias("churn", name, 2, caller=CALLER).result()
    catalogue.set_alias("churn", "c", 1, caller=CALLER).result()
    moved = catalogue.transition(
        "churn", 2, to=Stage.STAGING, archive_existing=False, caller=CALLER
    ).result()
    assert (moved.row.stage, moved.aliases) == (Stage.STAGING, ("a", "b"))
    described = catalogue.describe_version("churn", 2, "good", caller=CALLER).result()
    assert described.row.description == "good"
    assert described == catalogue.version("churn", 2)
    assert world.engine.kernel.database.read(rebuild.compare)[1] == []


def test_nobody_named_acts_as_the_client(catalogue, world):
    nobody = Caller(actor=Actor(name=""))
    catalogue.create_model("churn", description="", tags={}, caller=nobody).result()
    catalogue.register_version(external("churn"), caller=nobody).result()
    assert [entry.actor.name for entry in world.registry.log()] == ["mlflow-client"] * 2


def test_what_an_act_tells_is_what_is_read_afterwards(catalogue):
    """The answer is told from the operation, without a look; it must not tell a version that is not there."""
    catalogue.create_model("churn", description="", tags={}, caller=CALLER).result()
    claim = SourceClaim(source="s3://b/m")
    new = NewVersion(model="churn", claim=claim, description="one", tags={"b": "2", "a": "1"})
    told = [
        catalogue.register_version(PreparedVersion(new=n, source=Resolved()), caller=CALLER)
        for n in (new, NewVersion(model="churn", claim=claim))
    ]
    for future in told:
        assert catalogue.version("churn", future.result().row.version) == future.result()
    for alias, number in (("champion", 1), ("staging", 1), ("production", 2), ("old", 2)):
        catalogue.set_alias("churn", alias, number, caller=CALLER).result()

    def moves(number, stage, *, archive=False):
        return lambda: catalogue.transition(
            "churn", number, to=stage, archive_existing=archive, caller=CALLER
        )

    def describes(number, text):
        return lambda: catalogue.describe_version("churn", number, text, caller=CALLER)

    for call in (
        moves(2, Stage.STAGING),
        moves(1, Stage.PRODUCTION),
        moves(1, Stage.PRODUCTION),  # nothing is left to do
        moves(2, Stage.PRODUCTION, archive=True),
        moves(1, Stage.STAGING, archive=True),
        describes(1, "another"),
        describes(1, "another"),
        moves(1, Stage.ARCHIVED),
        moves(2, Stage.NONE),
    ):
        answer = call().result()
        assert catalogue.version("churn", answer.row.version) == answer


def test_numbers_are_right_whatever_happens_between_two_versions(world, catalogue):
    """Acts of one transaction know from each other what number is next; none may go by what is past."""
    for name in ("a", "b"):
        catalogue.create_model(name, description="", tags={}, caller=CALLER).result()
    entered, leave = threading.Event(), threading.Event()

    def hold(_tx):
        entered.set()
        leave.wait(30)

    holding = world.engine.kernel.database.write(hold)
    entered.wait(30)  # so that all that follows is one group

    def new(name):
        return catalogue.register_version(external(name), caller=CALLER)

    acts = [
        *(new("a"), new("a"), new("b"), new("a")),
        catalogue.delete_version("a", 3, caller=CALLER),
        new("a"),
        catalogue.rename_model("a", to="c", caller=CALLER),
        *(new("a"), new("c"), new("c"), new("b")),
        catalogue.delete_model("b", caller=CALLER),
        new("b"),
        catalogue.create_model("b", description="", tags={}, caller=CALLER),
        *(new("b"), new("b")),
    ]
    leave.set()
    holding.result(30)
    made = []
    for act in acts:
        if act.exception(30) is not None:
            made.append(type(act.exception()).__name__)
        elif isinstance(act.result(), VersionEntry):
            made.append((act.result().model, act.result().row.version))
            if act.result().model == "c":
                assert catalogue.version("c", act.result().row.version) == act.result()
    assert made == [
        *(("a", 1), ("a", 2), ("b", 1), ("a", 3), ("a", 4)),
        *("NotFound", ("c", 5), ("c", 6), ("b", 2)),
        *("NotFound", ("b", 3), ("b", 4)),
    ]
