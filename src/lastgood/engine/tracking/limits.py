"""What may be logged: names, lengths, numbers, and the phrases that MLflow's clients know.

Pure rules. The limits are MLflow's; its users' scripts match on parts of these messages.
"""

import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from lastgood.core.ids import printable
from lastgood.core.tracking import ACTIVE, DatasetInput, Metric, ModelLink
from lastgood.errors import InvalidInput, NotFound

__all__ = [
    "check_active",
    "check_batch_size",
    "check_count",
    "check_dataset_inputs",
    "check_experiment_name",
    "check_experiment_tag",
    "check_experiment_tags",
    "check_int64",
    "check_location",
    "check_logged_model_name",
    "check_metric",
    "check_metrics",
    "check_model_links",
    "check_model_params",
    "check_model_tags",
    "check_name",
    "check_param",
    "check_run_tag",
    "check_run_tags",
    "check_text",
    "check_unchanged",
    "existing",
    "invalid_value",
    "parse_experiment_id",
    "shown",
    "unique_params",
]

T = TypeVar("T")
KEY_LENGTH_MAX = 250
PARAM_VALUE_LENGTH_MAX = 6_000
RUN_TAG_VALUE_LENGTH_MAX = 8_000
EXPERIMENT_TAG_VALUE_LENGTH_MAX = 20_000
EXPERIMENT_NAME_LENGTH_MAX = 500
LOCATION_LENGTH_MAX = 2_048
MODEL_NAME_LENGTH_MAX = 500
MODEL_TEXT_LENGTH_MAX = 100_000  # of a logged model: a tag or parameter
MODEL_PARAMS_MAX = 100
BATCH_METRICS_MAX = 1_000
BATCH_PARAMS_MAX = 100
BATCH_TAGS_MAX = 100
BATCH_TOTAL_MAX = 1_000
INPUTS_MAX = 1_000
TAGS_MAX = 1_000  # of a thing that is made with them
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_DATASET_LENGTHS_MAX = {
    "name": 500,
    "digest": 36,
    "source_type": 36,
    "source": 65_535,
    "schema": 1_048_575,
    "profile": 16_777_215,
}
_INPUT_TAG_KEY_LENGTH_MAX = 255
_INPUT_TAG_VALUE_LENGTH_MAX = 500
_MODEL_NAME_FORBIDDEN = "/:.%\"'"

NAMES_REMEMBERED = 10_000
_NAME = re.compile(r"[/\w.\- :]+\Z")
_EXPERIMENT_ID = re.compile(r"[0-9]{1,18}\Z")


def shown(text: str) -> str:
    """A client's text as it may stand in a message."""
    return printable(text, length_max=200)


def invalid_value(parameter: str, value: object, why: str = "") -> str:
    """MLflow's phrase for a value that cannot be right."""
    text = json.dumps(value, default=str)
    text = text if len(text) <= 300 else f"{text[:300]}…"
    return f"Invalid value {text} for parameter '{parameter}' supplied{': ' if why else ''}{why}"


def parse_experiment_id(text: str) -> int:
    """The number of an experiment.

    Raises:
        InvalidInput: the text is not a whole number. NotFound: no experiment can have it.
    """
    try:
        number = int(text) if len(text) <= 30 else -1
    except ValueError:
        raise InvalidInput(
            f"Invalid experiment ID '{shown(text)}'. Experiment ID must be a valid integer"
        ) from None
    if not 0 <= number <= INT64_MAX:
        raise NotFound(f"No Experiment with id={shown(text)} exists")
    return number


def existing(found: T | None, experiment_id: int) -> T:
    """What was found for an experiment's id.

    Raises:
        NotFound: nothing.
    """
    if found is None:
        raise NotFound(f"No Experiment with id={experiment_id} exists")
    return found


def check_active(noun: str, name: str, lifecycle: str) -> None:
    """Refuse to change what is deleted.

    Raises:
        InvalidInput: it is.
    """
    if lifecycle != ACTIVE:
        raise InvalidInput(
            f"The {noun} {name} must be in the 'active' state. Current state is {lifecycle}",
            hint=f"restore the {noun}",
        )


def check_name(name: str, *, parameter: str) -> str:
    """The name of a metric, parameter or tag, by MLflow's rules.

    Raises:
        InvalidInput: other characters than allowed, or like a path that is not normal.
    """
    if _is_good_name(name):
        return name
    if not name:
        raise InvalidInput(f"Missing value for required parameter '{parameter}'")
    if not _NAME.match(name):
        raise InvalidInput(
            invalid_value(
                parameter,
                name,
                "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), "
                "colon(:) and slashes (/)",
            )
        )
    normal = posixpath.normpath(name)
    if not _is_normal(name):
        raise InvalidInput(
            invalid_value(
                parameter,
                name,
                "Names may be treated as files in certain cases, and must not resolve to other names when treated as "
                f"such. This name would resolve to '{normal}'",
            )
        )
    return check_length("key", name, KEY_LENGTH_MAX)


@lru_cache(maxsize=NAMES_REMEMBERED)
def _is_good_name(name: str) -> bool:
    # Remembered, because the same few names come again with every point of a metric.
    return bool(_NAME.match(name)) and len(name) <= KEY_LENGTH_MAX and _is_normal(name)


def _is_normal(name: str) -> bool:
    normal = posixpath.normpath(name)
    return normal == name and normal != "." and not normal.startswith(("..", "/"))


def check_length(what: str, text: str, length_max: int) -> str:
    """Refuse text that is too long.

    Raises:
        InvalidInput: it is.
    """
    if len(text) > length_max:
        raise InvalidInput(f"'{what}' exceeds the maximum length of {length_max} characters")
    return text


def check_text(parameter: str, text: str, length_max: int) -> str:
    """A free text, such as a run's name. Raises InvalidInput."""
    return check_length(parameter, text, length_max)


def check_int64(parameter: str, value: int) -> int:
    """A whole number that the protocol can carry.

    Raises:
        InvalidInput: it has more than 64 bits.
    """
    if not INT64_MIN <= value <= INT64_MAX:
        raise InvalidInput(invalid_value(parameter, value, "it must be a 64-bit integer"))
    return value


def check_metrics(metrics: Sequence[Metric]) -> None:
    """Points of metrics, in a batch. Raises InvalidInput as `check_metric`."""
    if not _are_good_points(metrics):
        for i, metric in enumerate(metrics):
            check_metric(metric, path=f"metrics[{i}].")


def _are_good_points(metrics: Iterable[Metric]) -> bool:
    # One function for all of them: a call for each takes longer than what it looks at.
    for metric in metrics:
        if not (
            _is_good_name(metric.key)
            and 0 <= metric.at_ms <= INT64_MAX
            and INT64_MIN <= metric.step <= INT64_MAX
            and (not metric.dataset_name) == (not metric.dataset_digest)
        ):
            return False
    return True


def check_metric(metric: Metric, *, path: str = "") -> Metric:
    """A point of a metric.

    Raises:
        InvalidInput: its name is not allowed, or a number out of range.
    """
    if _are_good_points((metric,)):
        return metric
    if bool(metric.dataset_name) != bool(metric.dataset_digest):
        raise InvalidInput(
            "Both dataset_name and dataset_digest must be provided if one is provided"
        )
    at_ms, step = metric.at_ms, metric.step
    check_name(metric.key, parameter=f"{path}name")
    check_int64(f"{path}step", step)
    if at_ms < 0 or at_ms > INT64_MAX:
        raise InvalidInput(
            invalid_value(
                f"{path}timestamp",
                metric.at_ms,
                f"metric '{metric.key}' (value={metric.value}). Timestamp must be a nonnegative long (64-bit integer)",
            )
        )
    return metric


def check_param(key: str, value: str, *, path: str = "") -> tuple[str, str]:
    """A run's parameter; a value that is too long is cut, as MLflow does. Raises InvalidInput."""
    return check_name(key, parameter=f"{path}key"), value[:PARAM_VALUE_LENGTH_MAX]


def check_run_tag(key: str, value: str, *, path: str = "") -> tuple[str, str]:
    """A run's tag; a value that is too long is cut, as MLflow does. Raises InvalidInput."""
    return check_name(key, parameter=f"{path}key"), value[:RUN_TAG_VALUE_LENGTH_MAX]


def check_run_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a new run. Raises InvalidInput."""
    check_count("tags", len(tags), TAGS_MAX)
    return dict(check_run_tag(k, v) for k, v in tags.items())


def check_experiment_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a new experiment. Raises InvalidInput."""
    check_count("tags", len(tags), TAGS_MAX)
    return dict(check_experiment_tag(k, v) for k, v in tags.items())


def check_experiment_tag(key: str, value: str) -> tuple[str, str]:
    """An experiment's tag. Raises InvalidInput."""
    return check_name(key, parameter="key"), check_length(
        "value", value, EXPERIMENT_TAG_VALUE_LENGTH_MAX
    )


def check_model_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """A logged model's tags; MLflow takes any name for them. Raises InvalidInput."""
    check_count("tags", len(tags), TAGS_MAX)
    return {_model_key(k): check_length("value", v, MODEL_TEXT_LENGTH_MAX) for k, v in tags.items()}


def check_model_params(params: Mapping[str, str]) -> dict[str, str]:
    """A logged model's parameters; MLflow takes any name for them. Raises InvalidInput."""
    if len(params) > MODEL_PARAMS_MAX:
        raise InvalidInput(
            f"A logged model can have at most {MODEL_PARAMS_MAX} params. Got {len(params)} params"
        )
    return {
        _model_key(k): check_length("value", v, MODEL_TEXT_LENGTH_MAX) for k, v in params.items()
    }


def _model_key(key: str) -> str:
    if not key:
        raise InvalidInput("Missing value for required parameter 'key'")
    return check_length("key", key, KEY_LENGTH_MAX)


def check_batch_size(*, metrics: int, params: int, tags: int) -> None:
    """Bound a batch.

    Raises:
        InvalidInput: more than MLflow allows of one kind, or in all.
    """
    counted = (
        ("metrics", metrics, BATCH_METRICS_MAX),
        ("params", params, BATCH_PARAMS_MAX),
        ("tags", tags, BATCH_TAGS_MAX),
        ("metrics, params, and tags", metrics + params + tags, BATCH_TOTAL_MAX),
    )
    for what, count, most in counted:
        if count > most:
            raise InvalidInput(
                f"A batch logging request can contain at most {most} {what}. Got {count} {what}. "
                f"Please split up {what} across multiple requests and try again"
            )


def check_count(what: str, count: int, count_max: int) -> None:
    """Bound a list.

    Raises:
        InvalidInput: it is longer.
    """
    if count > count_max:
        raise InvalidInput(f"At most {count_max:,} {what} are allowed at once. Got {count:,}")


def unique_params(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The parameters of one batch.

    Raises:
        InvalidInput: a key occurs twice, even with the same value.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise InvalidInput(
            f"Duplicate parameter keys have been submitted: {twice}. Please ensure the request contains each key once"
        )
    return found


def check_unchanged(known: Mapping[str, str], wanted: Mapping[str, str], *, owner: str) -> None:
    """Parameters are facts: logged once, they keep their value.

    Raises:
        InvalidInput: one would get another value.
    """
    for key, value in wanted.items():
        if known.get(key, value) != value:
            raise InvalidInput(
                f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                f"value='{shown(known[key])}' for {owner}. Attempted logging new value '{shown(value)}'",
                hint="log the other value under another key, or in another (nested) run",
            )


def check_experiment_name(name: str) -> str:
    """An experiment's name. Raises InvalidInput if it is blank, too long or not printable."""
    if not name.strip() or "\x00" in name:
        raise InvalidInput(f"Invalid experiment name: '{shown(name)}'")
    return check_length("name", name, EXPERIMENT_NAME_LENGTH_MAX)


def check_location(location: str) -> str:
    """The artifact location that a client gives an experiment; it is recorded, never opened here.

    Raises:
        InvalidInput: too long, a ``runs:`` URI, with a query or fragment, or with ``..``.
    """
    if len(location) > LOCATION_LENGTH_MAX:
        raise InvalidInput(
            f"Invalid artifact path length. The length of the artifact path cannot be greater than {LOCATION_LENGTH_MAX} characters"
        )
    if location.startswith("runs:"):
        raise InvalidInput(f"Artifact location cannot be a runs:/ URI. Given: '{shown(location)}'")
    decoded = re.sub(r"(?i)%(?:25)*2e", ".", location)
    if (
        "?" in location
        or "#" in location
        or ".." in re.split(r"[/\\]", decoded)
        or not location.isprintable()
    ):
        raise InvalidInput(
            f"'artifact_location' URL can't include fragments, query parameters or '..'. Given: '{shown(location)}'"
        )
    return location


def check_logged_model_name(name: str) -> str:
    """A logged model's name. Raises InvalidInput."""
    if not name or any(c in _MODEL_NAME_FORBIDDEN for c in name):
        raise InvalidInput(
            f"Invalid model name ('{shown(name)}') provided. Model name must be a non-empty string and cannot contain "
            f"the following characters: {tuple(_MODEL_NAME_FORBIDDEN)}"
        )
    return check_length("name", name, MODEL_NAME_LENGTH_MAX)


def check_model_links(links: Sequence[ModelLink]) -> None:
    """Logged models that go into a run or come out of it.

    Raises:
        InvalidInput: too many, an id that is too long, or a step out of range.
    """
    check_count("models", len(links), INPUTS_MAX)
    for link in links:
        check_length("model_id", link.model_id, KEY_LENGTH_MAX)
        check_int64("step", link.step)


def check_dataset_inputs(inputs: Iterable[DatasetInput]) -> None:
    """Datasets that go into a run.

    Raises:
        InvalidInput: too many, or a text that is too long.
    """
    inputs = list(inputs)
    check_count("datasets", len(inputs), INPUTS_MAX)
    for one in inputs:
        for name, length_max in _DATASET_LENGTHS_MAX.items():
            value: Any = getattr(one.dataset, name)
            check_length(name, value or "", length_max)
        for key, value in one.tags.items():
            check_length("key", key, _INPUT_TAG_KEY_LENGTH_MAX)
            check_length("value", value, _INPUT_TAG_VALUE_LENGTH_MAX)
