"""Making a version from a manifest whose files are stored."""

from lastgood.core.changes import Change, ModelCreated, VersionRegistered
from lastgood.core.commands import Register
from lastgood.core.evidence import Evidence, check_evidence
from lastgood.core.ids import Digest, ModelName, VersionNumber, parse_model_name, printable
from lastgood.core.manifest import Manifest
from lastgood.engine.findings import evidence_changes
from lastgood.engine.kernel import Decision
from lastgood.errors import AlreadyExists, InvalidInput, TooLarge
from lastgood.store import registry as rows
from lastgood.store.database import Connection
from lastgood.store.evidence import evidence_of

__all__ = [
    "check_description",
    "check_registration",
    "check_tags",
    "data_digests",
    "decide_register",
    "model_or_creation",
    "next_number",
]

DATA_DIGESTS_MAX = 1000
TAG_KEY_LENGTH_MAX = 250
TAG_VALUE_LENGTH_MAX = 100_000
TAGS_MAX = 1000
DESCRIPTION_LENGTH_MAX = 5000  # MLflow's column width


def check_registration(command: Register) -> None:
    """Bound what a client may say about a version.

    Raises:
        InvalidInput, InvalidName, TooLarge: names the field.
    """
    parse_model_name(command.model)
    check_tags(command.tags)
    check_description(command.description)
    check_evidence(command.evidence)


def check_description(text: str) -> None:
    """Bound a description.

    Raises:
        TooLarge: it is longer than 5,000 characters.
    """
    if len(text) > DESCRIPTION_LENGTH_MAX:
        raise TooLarge(
            f"A description exceeds the maximum length of {DESCRIPTION_LENGTH_MAX} characters"
        )


def check_tags(tags: dict[str, str]) -> None:
    """Bound tags.

    Raises:
        InvalidInput: an empty key. TooLarge: too many, or one too long; names the key.
    """
    if len(tags) > TAGS_MAX:
        raise TooLarge(f"A version may have {TAGS_MAX} tags; these are {len(tags)}")
    for key, value in tags.items():
        if not key:
            raise InvalidInput("Tag name cannot be empty")
        if len(key) > TAG_KEY_LENGTH_MAX:
            raise TooLarge(
                f"Tag key '{printable(key)}' exceeds the maximum length of {TAG_KEY_LENGTH_MAX} characters"
            )
        if len(value) > TAG_VALUE_LENGTH_MAX:
            raise TooLarge(
                f"The value of tag '{printable(key)}' exceeds the maximum length of {TAG_VALUE_LENGTH_MAX} characters"
            )


def model_or_creation(
    tx: Connection, name: ModelName
) -> tuple[rows.ModelRow | None, tuple[Change, ...]]:
    """The model of that name, or the change that makes it.

    Raises:
        AlreadyExists: another model's name differs only by case.
    """
    model = rows.model_named(tx, name)
    if model is not None:
        return model, ()
    if alike := rows.model_named_alike(tx, name):
        raise AlreadyExists(
            f"Registered Model (name={printable(name)}) already exists as {alike.name}; names may not differ only by case",
            hint=f"use {alike.name}, or another name",
        )
    return None, (ModelCreated(model=name),)


def next_number(tx: Connection, name: ModelName) -> VersionNumber:
    """The next version number: one more than was ever given under that name."""
    return VersionNumber(rows.last_number(tx, name) + 1)


def decide_register(tx: Connection, command: Register, digest: Digest, *, user: str) -> Decision:
    """What registering means for the state as it is: a new version, or only news of one that exists.

    Args:
        tx: The write transaction.
        command: The request; its manifest is stored under `digest` and its files are verified.
        digest: Of the manifest.
        user: Who registers.
    """
    model, creation = model_or_creation(tx, command.model)
    known = rows.versions_by_digest(tx, model.id, digest) if model else []
    if model and known:
        return _decide_news(tx, command, known[0])
    number = next_number(tx, command.model)
    count = len(command.manifest.files)
    registered = VersionRegistered(
        model=command.model,
        version=number,
        digest=digest,
        source=command.manifest.source.uri,
        run_id=command.manifest.source.run_id,
        user=user,
        description=command.description,
        size=command.manifest.size,
        tags=command.tags,
        commit=command.manifest.code.commit,
        data=data_digests(command.manifest),
    )
    return Decision(
        kind="register",
        model=command.model,
        changes=(
            *creation,
            registered,
            *evidence_changes(command.model, number, command.evidence),
        ),
        summary=f"{command.model}/{number} registered: {count} file{'s' if count != 1 else ''}, {digest[:19]}",
        reason=command.reason,
    )


def data_digests(manifest: Manifest) -> tuple[str, ...]:
    """The digests of the data that went into a version, each once; at most as many as are looked up."""
    known = dict.fromkeys(data.digest for data in manifest.data if data.digest)
    return tuple(known)[:DATA_DIGESTS_MAX]


def _decide_news(tx: Connection, command: Register, version: rows.VersionRow) -> Decision:
    """The version exists: what is left to record is evidence that says something else than before."""
    before = {
        row.evidence.name: row.evidence
        for row in evidence_of(tx, version.model_id, version.version)
    }
    news = [one for one in command.evidence if _is_news(one, before.get(one.name))]
    said = ", ".join(f"{one.name} {one.outcome}" for one in news)
    return Decision(
        kind="register",
        model=command.model,
        changes=evidence_changes(command.model, version.version, news),
        summary=f"the same bytes are {command.model}/{version.version} already: {said}",
        reason=command.reason,
    )


def _is_news(one: Evidence, before: Evidence | None) -> bool:
    # Not having looked is no news about what was seen.
    return before is None or (one.outcome not in {before.outcome, "unknown"})
