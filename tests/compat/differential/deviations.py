"""Where our answers differ from MLflow's on purpose, each with a rule and its reason.

Standard library only: the page in the documentation is made from this file.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["DEVIATIONS", "Deviation", "deviations_of"]

INFINITIES = {"Infinity": 1.7976931348623157e308, "-Infinity": -1.7976931348623157e308}


def _always(pair: Any) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """One difference that is meant.

    With a `mend` only what it evens out may differ; without, the whole answer is another.
    """

    name: str
    what: str
    reason: str
    applies: Callable[[Any], bool] = _always
    """Whether a pair of answers may differ for this reason."""
    mend: Callable[[Any, str], Any] | None = None
    """Makes a part of a body, which stands under that key, the same for both."""
    parts: bool = False
    """After it the servers may not know the same, although both said yes."""

    @property
    def ends(self) -> bool:
        """Whether answers after a change that had this deviation cannot be compared."""
        return self.mend is None or self.parts


def deviations_of(pair: Any) -> list[Deviation] | None:
    """Why the answers differ; None if they differ for no reason that is known, [] if they do not."""
    if pair.agrees:
        return []
    whole = [d for d in DEVIATIONS if not d.mend and d.applies(pair)]
    if whole:
        return whole[:1]
    found = []
    for deviation in DEVIATIONS:
        if deviation.mend and deviation.applies(pair):
            mended = _mended(pair, deviation.mend)
            if mended != pair:
                found.append(deviation)
                pair = mended
    return found if pair.agrees else None


def _mended(pair: Any, mend: Callable[[Any, str], Any]) -> Any:
    def walk(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            value = {k: walk(one, k) for k, one in value.items()}
        elif isinstance(value, list):
            value = [walk(one, key) for one in value]
        return mend(value, key)

    theirs, ours = pair.theirs, pair.ours
    return replace(
        pair,
        theirs=replace(theirs, body=walk(theirs.body, "")),
        ours=replace(ours, body=walk(ours.body, "")),
    )


def _without(field: str, *, within: frozenset[str]) -> Callable[[Any, str], Any]:
    def mend(value: Any, key: str) -> Any:
        if isinstance(value, dict) and key in within:
            return {k: one for k, one in value.items() if k != field}
        return value

    return mend


VERSION = frozenset({"model_version", "model_versions", "latest_versions"})


def _endpoint(pair: Any) -> str:
    path = pair.call.path.replace("/ajax-api/", "/api/")
    return str(path).removeprefix("/api/2.0/mlflow")


def _is_search(pair: Any) -> bool:
    return _endpoint(pair).endswith("/search")


def _sent(pair: Any, field: str) -> Any:
    return pair.call.fields.get(field)


def _refused(pair: Any, *words: str) -> bool:
    return pair.ours.status == 400 and any(word in pair.ours.message for word in words)


def _server_error(pair: Any) -> bool:
    refused = 400 <= pair.ours.status < 500
    # 2.0 is a whole number, too; and a list that is null is one that was not sent.
    odd = any(value is None or str(value).endswith(".0") for value in pair.call.fields.values())
    right = odd and pair.ours.is_success
    known = refused or not pair.follows_protocol or right
    return pair.theirs.status >= 500 and known


def _other_fault(pair: Any) -> bool:
    theirs, ours = pair.theirs, pair.ours
    if (theirs.status, theirs.code) == (ours.status, ours.code):
        return bool(ours.phrase)
    if {theirs.code, ours.code} == {"INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS"}:
        return pair.call.method == "POST"
    # A request that is wrong in itself and about something that does not exist.
    return pair.call.method != "GET" and {theirs.status, ours.status} == {400, 404}


def _empty_page(pair: Any) -> bool:
    most = str(_sent(pair, "max_results"))
    none = re.fullmatch(r"-\d+|0", most) is not None
    return none and pair.theirs.is_success and _refused(pair, "max_results")


def _bare_number(pair: Any) -> bool:
    return not pair.follows_protocol and any(
        isinstance(value, float) and not math.isfinite(value) for value in _leaves(pair.call.fields)
    )


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _leaves(one)
    else:
        yield value


def _repeated(pair: Any) -> bool:
    database = pair.theirs.code in {"BAD_REQUEST", "RESOURCE_ALREADY_EXISTS"}
    return database and "UNIQUE constraint" in pair.theirs.message and pair.ours.is_success


def _other_model(pair: Any) -> bool:
    path = re.search(r"/logged-models/(⟦[^⟧]*⟧|[^/]+)", pair.call.path)
    if not path or path[1] == "search" or pair.call.method not in {"PATCH", "POST"}:
        return False
    return "'model_id'" in pair.theirs.message or _sent(pair, "model_id") != path[1]


def _claims_nothing(pair: Any) -> bool:
    return (
        _endpoint(pair) == "/model-versions/create"
        and pair.ours.is_success
        and "must identify the resource" in pair.theirs.message
        and not (_sent(pair, "run_id") and _sent(pair, "model_id"))
    )


def _any_case(pair: Any) -> bool:
    words = re.findall(r"\b(?:not\s+)?(?:in|like|ilike)\b", str(_sent(pair, "filter")))
    return _is_search(pair) and bool(words) and "omparator" in pair.theirs.message


def _kinder_filter(pair: Any) -> bool:
    if not (_is_search(pair) and pair.ours.is_success and pair.theirs.status == 400):
        return False
    said = pair.theirs.message
    if str(_sent(pair, "filter")).endswith(";") and said.startswith("Invalid filter string"):
        return True
    return any(
        words in said
        for words in (
            "Invalid entity type: 'metric'",
            "Expected a quoted string value for",
            "Invalid value for numeric attribute",
            "attributes support comparison with a list",
            "Invalid clause(s) in filter string: tag",
            "Invalid clause(s) in filter string: 'tag",
            "Invalid clause(s) in filter string: ';'",
            "Invalid clause(s) in filter string: ;",
            "Expected 'Identifier' found 'params.a/b'",
            "Expected 'Identifier' found 'tags.a/b'",
        )
    )


def _other_names(pair: Any) -> bool:
    missing = re.search(r"Missing value for required parameter '(\w+)'", pair.theirs.message)
    words = missing[1].split("_") if missing else []
    camel = "".join([*words[:1], *(word.capitalize() for word in words[1:])])
    return camel in pair.call.fields and pair.ours.status < 500


DEVIATIONS = [
    Deviation(
        name="server errors",
        what="where MLflow answers 5xx to a request that cannot be right, the answer is 4xx",
        reason="clients repeat a request that was answered with 5xx for minutes",
        applies=_server_error,
    ),
    Deviation(
        name="half characters",
        what="a text with half of a surrogate pair is refused: 400 INVALID_PARAMETER_VALUE",
        reason="it is no text; MLflow reads the request in part",
        applies=lambda pair: _refused(pair, "surrogate"),
    ),
    Deviation(
        name="half-read requests",
        what="a request with a field of a wrong type is refused: 400 INVALID_PARAMETER_VALUE",
        reason="MLflow goes on with the fields that it had read until then, and loses the rest without a word",
        applies=lambda pair: (
            # MLflow's own reader takes an empty list for a message.
            (not pair.follows_protocol or "(Value was of type 'list'" in pair.ours.message)
            and pair.ours.status == 400
        ),
    ),
    Deviation(
        name="SQL",
        what="no answer tells the database's own error: 4xx with a code and a sentence of its own",
        reason="MLflow answers BAD_REQUEST with the statement and its values",
        applies=lambda pair: pair.theirs.code == "BAD_REQUEST" and 400 <= pair.ours.status < 500,
    ),
    Deviation(
        name="repeated entries",
        what="of a tag or parameter that a request names twice the last value counts; a link that is there stays",
        reason="MLflow answers with the database's error, or that the experiment exists already; "
        "a request that is repeated after its answer was lost must not fail",
        applies=_repeated,
    ),
    Deviation(
        name="errors in JSON",
        what="errors of routing and of content types are JSON with an `error_code`, with the same status",
        reason="MLflow answers a page in HTML; its clients take both",
        applies=lambda pair: (
            not pair.theirs.is_success
            and not pair.theirs.code
            and pair.theirs.status == pair.ours.status
        ),
    ),
    Deviation(
        name="doubled slashes",
        what="an address with `//` is unknown: 404",
        reason="MLflow takes it for one with a single slash, or redirects; no client sends it",
        applies=lambda pair: "//" in _endpoint(pair) and pair.ours.status == 404,
    ),
    Deviation(
        name="requests without a body",
        what="a POST without a body needs no `Content-Type`",
        reason="there is nothing whose type it could say",
        applies=lambda pair: "Content-Type" in pair.theirs.message and pair.call.in_query,
    ),
    Deviation(
        name="bodies of reads",
        what="histories of metrics of many runs may be asked for by the fields of a body, too",
        reason="MLflow takes them so for every other GET",
        applies=lambda pair: (
            pair.call.method == "GET"
            and not pair.call.in_query
            and _endpoint(pair).startswith("/metrics/get-history-bulk")
            and pair.ours.status < 500
        ),
    ),
    Deviation(
        name="content types in any case",
        what="`APPLICATION/JSON` is JSON too",
        reason="the names of media types have no case (RFC 9110, 8.3.1)",
        applies=lambda pair: (
            "Content-Type" in pair.theirs.message and pair.call.content_type.islower() is False
        ),
    ),
    Deviation(
        name="bare NaN and Infinity",
        what="the bare tokens NaN, Infinity and -Infinity are numbers, like the strings",
        reason="MLflow stops reading at the token and complains about a field after it",
        applies=_bare_number,
    ),
    Deviation(
        name="kinder types",
        what='1, "1" and "true" may stand for true, a number of an enumeration may be a text',
        reason="nothing else can be meant",
        applies=lambda pair: (
            not pair.follows_protocol and pair.theirs.status == 400 and pair.ours.is_success
        ),
    ),
    Deviation(
        name="booleans",
        what="true is no value of a metric: 400 INVALID_PARAMETER_VALUE",
        reason="MLflow's own clients refuse it before they send it",
        applies=lambda pair: _refused(pair, "Invalid value true for", "Invalid value false for"),
    ),
    Deviation(
        name="enumerations",
        what="an unknown name of a status or view, or half a number, is refused: 400 INVALID_PARAMETER_VALUE",
        reason="MLflow takes it for none, or cuts the half off, and answers 200",
        applies=lambda pair: _refused(
            pair, "Valid values are", "STATUS_UNSPECIFIED", "Expected `int | str`, got `float`"
        ),
    ),
    Deviation(
        name="version numbers",
        what="a version is written in the digits 0 to 9 without spaces or signs",
        reason="MLflow takes whatever Python reads as a number",
        applies=lambda pair: _refused(pair, "Invalid model version:"),
    ),
    Deviation(
        name="missing tags in the registry",
        what="filters on tags of models and versions may say IS NULL and IS NOT NULL",
        reason="MLflow fails with 500 there, and takes them for runs and experiments",
        applies=lambda pair: (
            pair.theirs.status == 500
            and pair.ours.is_success
            and " null" in str(_sent(pair, "filter")).lower()
        ),
    ),
    Deviation(
        name="searches that fail",
        what="numbers of any size may be compared, and a search may be ordered by two names of a field",
        reason="MLflow fails with 500 there",
        applies=lambda pair: (
            _is_search(pair)
            and pair.ours.is_success
            and pair.theirs.status == 500
            and bool(re.search("too large|duplicate fields", pair.theirs.message))
        ),
    ),
    Deviation(
        name="kinder filters",
        what="every search takes `metric.` for `metrics.`, decimals for whole numbers, IN for every text, "
        "keys like `1` and `a/b` and a semicolon at the end",
        reason="MLflow takes each of them in some searches and refuses it in others",
        applies=_kinder_filter,
    ),
    Deviation(
        name="keys with a hyphen",
        what="a key like `a-b` may stand without quotes before every comparison of every search",
        reason="MLflow takes it before some comparisons in some searches",
        applies=lambda pair: (
            _is_search(pair)
            and pair.ours.is_success
            and pair.theirs.status == 400
            and bool(
                re.search(
                    r"\.\w*-\S*\s+(not\s+)?i(n|like)\b", str(_sent(pair, "filter")), re.IGNORECASE
                )
            )
        ),
    ),
    Deviation(
        name="names as in JSON",
        what="`runId` may stand for `run_id`, and so on, in every body",
        reason="that is protobuf's JSON form, which generated clients send; "
        "MLflow takes it for fields that may be missing only",
        applies=_other_names,
    ),
    Deviation(
        name="keywords in any case",
        what="LIKE, ILIKE and IN may be written in any case in every filter",
        reason="MLflow takes that in some filters and refuses it in others",
        applies=_any_case,
    ),
    Deviation(
        name="words for attributes",
        what="`attribute.`, `attributes.`, `attr.` and `run.` may stand before an attribute in every filter and order",
        reason="MLflow takes some of them in some searches",
        applies=lambda pair: (
            _is_search(pair)
            and pair.ours.is_success
            and bool(re.search(r"Invalid (entity type|order by key) 'attr", pair.theirs.message))
        ),
    ),
    Deviation(
        name="page tokens",
        what="a page token belongs to the search that returned it: 400 for another one",
        reason="MLflow counts rows, so that a token of another search skips some of them",
        applies=lambda pair: pair.theirs.is_success and _refused(pair, "Invalid page token"),
    ),
    Deviation(
        name="pages of nothing",
        what="a search for models or versions with `max_results` of 0 or less is refused, as other searches are: 400",
        reason="MLflow answers with nothing and a token for the same page, so that who follows it never comes to an end",
        applies=_empty_page,
    ),
    Deviation(
        name="control characters",
        what="names of experiments and models have no control characters: 400",
        reason="nobody can see or type them",
        applies=lambda pair: (
            pair.theirs.is_success
            and _refused(pair, "Invalid experiment name", "It contains control characters")
        ),
    ),
    Deviation(
        name="names of tags",
        what="tags of a new run follow the rules for names (no `a/`, no `a#b`), "
        "names of tags and parameters of a logged model are not empty",
        reason="MLflow checks that when a tag is set later, so that such a tag could never be changed",
        applies=lambda pair: (
            pair.theirs.is_success
            and (_endpoint(pair) == "/runs/create" or _endpoint(pair).startswith("/logged-models"))
            and _refused(pair, "for parameter 'key'", "required parameter 'key'", "].key'")
        ),
    ),
    Deviation(
        name="strict filters",
        what="a filter that does not follow the grammar is refused: 400, with the position",
        reason="MLflow leaves out what it does not understand, so that the search finds something else",
        applies=lambda pair: (
            _is_search(pair)
            and pair.theirs.is_success
            and _refused(pair, "Invalid clause(s) in filter string")
        ),
    ),
    Deviation(
        name="addresses of artifacts",
        what="an experiment's artifact location has no query and no `..`",
        reason="nobody but the client that writes there decides what would follow it",
        applies=lambda pair: _refused(pair, "'artifact_location' URL can't include"),
    ),
    Deviation(
        name="paths of artifacts",
        what="a path with an empty step (`a//b`) is refused: 400 Invalid path",
        reason="one file has one path; MLflow's clients refuse it before they send it",
        applies=lambda pair: (
            _refused(pair, "Invalid path") and "//" in f"{pair.call.path} {_sent(pair, 'path')}"
        ),
    ),
    Deviation(
        name="the model in the path",
        what="of `/logged-models/<id>` the id in the path counts, also where the body has none or another",
        reason="MLflow looks at the body's only",
        applies=_other_model,
    ),
    Deviation(
        name="sources without a claim",
        what="a version may be registered from this server's files without `run_id` or `model_id`",
        reason="its bytes are frozen and named by their digest, so that there is nothing to claim",
        applies=_claims_nothing,
    ),
    Deviation(
        name="sources on other hosts",
        what="a version may be registered from `http:` and `https:` addresses; it is external, without a digest; "
        "an experiment may have its artifacts there",
        reason="MLflow refuses them because its server may open them; ours never opens an address",
        applies=lambda pair: (
            _endpoint(pair) in {"/model-versions/create", "/experiments/create"}
            and "scheme addresses a host other than" in pair.theirs.message
            and pair.ours.is_success
        ),
    ),
    Deviation(
        name="ids in filters",
        what="a filter may compare `experiment_id` with any text; one that is no number is nobody's",
        reason="a search that finds nothing is an answer",
        applies=lambda pair: (
            _endpoint(pair) == "/experiments/search"
            and pair.theirs.message.startswith("Invalid experiment ID")
            and pair.ours.is_success
        ),
    ),
    Deviation(
        name="lengths",
        what="texts are as long as MLflow's tables say: `run_name` 250 characters, `user_id` 256, "
        "`source_type` 36, descriptions 5000, `run_link` 500; tags and parameters of logged models 100000",
        reason="MLflow lets SQLite store more and fails with other databases",
        applies=lambda pair: (
            # Or it says that there is no such thing.
            (pair.theirs.is_success or pair.theirs.status == 404)
            and _refused(pair, "exceeds the maximum length")
        ),
    ),
    Deviation(
        name="long tags of a new run",
        what="a tag of more than 8,000 characters is cut when a run is created, too",
        reason="MLflow cuts it when it is set later; here SQLite stores more, and other databases fail",
        applies=lambda pair: _endpoint(pair) == "/runs/create",
        mend=lambda value, key: value[:8_000] if key == "value" else value,
        parts=True,
    ),
    Deviation(
        name="changes to the same",
        what="an update that leaves a version's description or stage as it was is no change of it, "
        "nor is another name of its model",
        reason="a client may repeat a request without another operation in the history, and a rename takes no longer "
        "for many versions; MLflow notes a new `last_updated_timestamp` then, by which searches sort",
        applies=lambda pair: (
            _endpoint(pair) == "/model-versions/search"
            and pair.idle
            and pair.theirs.is_success
            and pair.ours.is_success
        ),
    ),
    Deviation(
        name="runs without an experiment",
        what="a run that names no experiment goes to `Default`",
        reason="MLflow answers with the database's error",
        applies=lambda pair: (
            _endpoint(pair) == "/runs/create"
            and (pair.call.raw is not None or not _sent(pair, "experiment_id"))
            and pair.ours.is_success
        ),
    ),
    Deviation(
        name="several faults",
        what="of several faults in a request another one may be named first",
        reason="which is first is nowhere written down",
        applies=_other_fault,
    ),
    Deviation(
        name="protected versions",
        what="a version in production cannot be deleted, nor can its model: 409 RESOURCE_CONFLICT",
        reason="what is live, and what a rollback would return to, must not vanish",
        applies=lambda pair: (
            pair.call.method == "DELETE"
            and pair.theirs.is_success
            and pair.ours.code == "RESOURCE_CONFLICT"
            and "cannot be deleted" in pair.ours.message
        ),
    ),
    Deviation(
        name="frozen bytes",
        what="`get-download-uri` answers with the address of the version's own frozen files",
        reason="what is uploaded to the run later must not change a registered version",
        applies=lambda pair: (
            _endpoint(pair) == "/model-versions/get-download-uri"
            and "mlflow-artifacts:/sha256/" in str(pair.ours.body)
        ),
        mend=lambda value, key: "" if key == "artifact_uri" else value,
    ),
    Deviation(
        name="creator",
        what="`user_id` of a model version is filled in",
        reason="MLflow's server never fills it; who registered a version belongs to its history",
        mend=_without("user_id", within=VERSION),
    ),
    Deviation(
        name="aliases in lists",
        what="versions in lists have their `aliases`",
        reason="MLflow fills them for single versions only",
        applies=lambda pair: _endpoint(pair) != "/registered-models/get-latest-versions",
        mend=_without("aliases", within=frozenset({"model_versions", "latest_versions"})),
    ),
    Deviation(
        name="no description",
        what="a version without a description has the empty one",
        reason="MLflow leaves the field out after some calls and sends it empty after others",
        mend=lambda value, key: (
            {k: v for k, v in value.items() if v != "" or k != "description"}
            if isinstance(value, dict) and key in VERSION
            else value
        ),
    ),
    Deviation(
        name="start of a run",
        what="a run that is made without `start_time` starts now",
        reason="MLflow lets it start in 1970",
        applies=lambda pair: _endpoint(pair) == "/runs/create",
        mend=_without("start_time", within=frozenset({"info"})),
        parts=True,
    ),
    Deviation(
        name="infinities",
        what="infinite values of metrics come back as they were sent",
        reason="MLflow makes them the greatest finite number",
        mend=lambda value, key: (
            INFINITIES.get(value, value) if key == "value" and isinstance(value, str) else value
        ),
    ),
]
