"""Plays a sequence of requests on two servers and brings their answers into one form."""

import http.client
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from differential.protocol import follows_protocol
from differential.request import JSON, PREFIX, Call
from differential.values import PREFIX_LENGTH

__all__ = ["Answer", "Pair", "Player"]

IDLE_S = 2.0  # a connection that was idle for longer may be closed by the server just now
TIMEOUT_S = 60.0
DAY_MS = 86_400_000
UNKNOWN = "unknown"

_PLACEHOLDER = re.compile(r"⟦(?P<kind>[a-z]+(?: [\w/-]+)?)(?::(?P<index>\d+)(?:/(?P<part>\w+))?)?⟧")
_RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+-\d+\Z")
_ID = re.compile(r"(?:m-)?[0-9a-f]{32}")
_ROOT = "mlflow-artifacts:/"
_SORTED = {"tags", "params", "metrics", "aliases", "latest_versions", "dataset_inputs"}
_SORTED |= {"model_inputs", "model_outputs", "files"}
_PHRASES = [
    re.compile(pattern)
    for pattern in (
        r"Missing value for required parameter '(?P<what>[^']*)'",
        r"(?P<what>)Run with id=\S* not found",
        r"(?P<what>)No Experiment with id=\S* exists",
        r"(?P<what>)Invalid experiment ID '.*'",
        r"(?P<what>)Invalid page token",
        r"(?P<what>)Registered Model with name=.* not found",
        r"(?P<what>)Model Version \(name=.*, version=.*\) not found",
        r"(?P<what>)Registered Model \(name=.*\) already exists",
        r"(?P<what>)Invalid Registered Model name: ",
        r"(?P<what>)must be in the 'active' state",
        r"(?P<what>)Changing param values is not allowed",
        r"(?P<what>)Registered model alias .* not found",
        r"(?P<what>)No tag with name: ",
        r"(?P<what>)Invalid Model Version stage: ",
        r"exceeds the maximum length of (?P<what>\d+) characters",
        r"A batch logging request can contain at most (?P<what>\d+ [a-z, ]+)\.",
        r"(?P<what>)Duplicate parameter keys have been submitted",
        r"Invalid value .* for parameter '(?P<what>[^']*)' supplied",
    )
]


@dataclass(frozen=True)
class Answer:
    """An answer in the form in which the two servers' are compared."""

    status: int
    code: str
    """MLflow's error code; empty for success and for errors that are no JSON."""
    phrase: str
    """The part of an error's message on which clients match, if there is one."""
    body: Any
    """What a success says."""
    message: str = field(default="", compare=False)

    @property
    def is_success(self) -> bool:
        return self.status < 400

    def __str__(self) -> str:
        text = self.message if self.status >= 400 else json.dumps(self.body, sort_keys=True)
        return f"{self.status} {self.code} {text}"


@dataclass(frozen=True)
class Pair:
    """One request, and what MLflow's server and ours said."""

    call: Call
    theirs: Answer
    ours: Answer
    follows_protocol: bool = True
    """Whether all fields have the types that MLflow's protocol gives them."""
    idle: bool = False
    """Whether an earlier request left a version as it was, and ours did not note a change."""

    @property
    def agrees(self) -> bool:
        """Status, code and body are equal, and ours has the phrase that clients know."""
        theirs, ours = self.theirs, self.ours
        if (theirs.status, theirs.code, theirs.body) != (ours.status, ours.code, ours.body):
            return False
        return theirs.phrase in {"", ours.phrase}

    @property
    def changes(self) -> bool:
        """Whether one of the servers may have changed something."""
        reads = self.call.method == "GET" or self.call.path.endswith(("/search", "-versions"))
        return not reads and (self.theirs.is_success or self.ours.is_success)


class Side:
    """One of the servers, with the ids that it gave."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0
        self.begin("")

    def begin(self, prefix: str) -> None:
        """Forget what earlier sequences made."""
        self.idle = False
        self._prefix = prefix
        self._pools: dict[str, list[str]] = {}
        self._uris: dict[str, str] = {}
        self._ids: dict[str, str] = {}

    def play(self, call: Call) -> Answer:
        """Send the request and remember what it made."""
        began_ms = time.time_ns() // 1_000_000
        status, kind, body = self._send(call)
        try:
            found = json.loads(body) if kind.startswith(JSON) else body.decode("utf-8", "replace")
        except ValueError:
            found = body.decode("utf-8", "replace")
        if status < 400 and isinstance(found, dict):
            self._remember(call, found)
            changed = found.get("model_version", {}).get("last_updated_timestamp")
            if call.method != "GET" and changed is not None:
                self.idle = self.idle or int(changed) < began_ms
            self.idle = self.idle or call.path.endswith("/registered-models/rename")
        return self._answer(call, status, found)

    def forget_tokens(self, call: Call) -> None:
        """Have no page token of that search any more."""
        self._pools.pop(_token_of(call), None)

    def forget_webhooks(self) -> None:
        """Delete those of the last sequence: a list of them has no filter, and their number is limited."""
        for webhook in self._pools.get("webhook", []):
            self._send(Call("DELETE", f"{PREFIX}/webhooks/{webhook}"))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, call: Call) -> tuple[int, str, bytes]:
        path = quote(self._fill(call.path), safe="/%:", errors="surrogatepass")
        body, headers = None, {"Content-Type": call.content_type} if call.content_type else {}
        if call.in_query:
            query = urlencode(list(self._pairs(call.fields)), errors="surrogatepass")
            path, headers = f"{path}?{query}" if query else path, {}
        elif call.raw is not None or call.fields or call.method != "GET":
            body = self._body(call)
        try:
            return self._exchange(call.method, path, body, headers)
        except (BrokenPipeError, ConnectionResetError, http.client.BadStatusLine):
            # A server may close a connection after an answer; then nothing of this request arrived.
            return self._exchange(call.method, path, body, headers)

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, str, bytes]:
        if self._connection is None or time.monotonic() - self._used_at > IDLE_S:
            self.close()
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=TIMEOUT_S
            )
        try:
            self._connection.request(method, path, body=body, headers=headers)
            response = self._connection.getresponse()
            read = response.read()
        except BaseException:
            self.close()
            raise
        self._used_at = time.monotonic()
        return response.status, response.headers.get("Content-Type", ""), read

    def _body(self, call: Call) -> bytes:
        if call.raw is not None:
            return call.raw.encode("utf-8", "surrogatepass")
        text = json.dumps(self._fill(call.fields))
        if call.doubled:
            key, value = call.doubled
            rest = text[1:] if text == "{}" else f", {text[1:]}"
            text = f"{{{json.dumps(key)}: {json.dumps(value)}{rest}"
        return text.encode()

    def _pairs(self, fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for key, value in fields.items():
            for one in value if isinstance(value, list) else [value]:
                filled = self._fill(one)
                yield key, filled if isinstance(filled, str) else json.dumps(filled)

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str):
            return _PLACEHOLDER.sub(self._known, value)
        if isinstance(value, list):
            return [self._fill(one) for one in value]
        if isinstance(value, dict):
            return {key: self._fill(one) for key, one in value.items()}
        return value

    def _known(self, match: re.Match[str]) -> str:
        kind, part = match["kind"], match["part"]
        if kind == "p":
            return self._prefix
        pool = self._pools.get(kind, [])
        if kind.startswith("token"):
            return pool[-1] if pool else ""
        found = pool[int(match["index"])] if int(match["index"]) < len(pool) else UNKNOWN
        if part is None:
            return found
        uri = self._uris.get(found, f"{_ROOT}{UNKNOWN}")
        return uri if part == "uri" else uri.removeprefix(_ROOT)

    def _remember(self, call: Call, found: dict[str, Any]) -> None:
        match call.path.rpartition("mlflow/")[2], found:
            case "experiments/create", {"experiment_id": str() as number}:
                self._add("experiment", number)
            case "runs/create", {"run": {"info": {"run_id": str() as run, "artifact_uri": uri}}}:
                self._add("run", run, uri)
            case "logged-models", {
                "model": {"info": {"model_id": str() as model, "artifact_uri": uri}}
            }:
                self._add("model", model, uri)
            case "webhooks", {"webhook": {"webhook_id": str() as webhook}}:
                self._add("webhook", webhook)
        if token := found.get("next_page_token"):
            self._add(_token_of(call), token)

    def _add(self, kind: str, made: str, uri: str = "") -> None:
        self._pools.setdefault(kind, []).append(made)
        self._uris[made] = uri
        if kind in {"run", "model", "webhook"}:
            self._ids[made] = f"<{kind} {len(self._pools[kind])}>"

    # --- one form -----------------------------------------------------------------------------------

    def _answer(self, call: Call, status: int, found: Any) -> Answer:
        if status < 400:
            if isinstance(found, dict) and "next_page_token" in found:
                found["next_page_token"] = "<token>" if self._is_own_search(call) else ""
            return Answer(status, "", "", self._normal(found, "") or None)
        if not isinstance(found, dict):
            return Answer(status, "", "", None, message=str(found)[:200])
        message = str(found.get("message", ""))
        return Answer(
            status, str(found.get("error_code", "")), _phrase(message), None, message[:300]
        )

    def _normal(self, value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {k: self._normal(one, k) for k, one in value.items() if one not in ({}, [])}
        if isinstance(value, list):
            found = [self._normal(one, key) for one in value if self._is_own(one, key)]
            return sorted(found, key=json.dumps) if key in _SORTED else found
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | float):
            return "<now>" if abs(value - time.time() * 1000) < DAY_MS else value
        return self._text(value, key)

    def _text(self, text: str, key: str) -> str:
        if key == "experiment_id":
            return self._experiment(text)
        for made, shown in self._ids.items():
            text = text.replace(made, shown)
        if self._prefix:
            text = text.replace(self._prefix, "⟦p⟧")
        if text.startswith(_ROOT):
            head, slash, rest = text.removeprefix(_ROOT).partition("/")
            text = f"{_ROOT}{self._experiment(head)}{slash}{rest}"
        if key in {"name", "run_name", "value"} and _RANDOM_NAME.match(text):
            return "<random name>"
        return text

    def _experiment(self, number: str) -> str:
        pool = self._pools.get("experiment", [])
        return f"<experiment {pool.index(number) + 1}>" if number in pool else number

    def _is_own_search(self, call: Call) -> bool:
        """Whether it cannot find what another sequence made."""
        everywhere = ("/experiments/search", "/registered-models/search", "/model-versions/search")
        return not call.path.endswith(everywhere) or "⟦p⟧" in str(call.fields.get("filter"))

    def _is_own(self, one: Any, key: str) -> bool:
        """Not what another sequence made: a search without a filter finds everything."""
        if key in {"experiments", "registered_models", "model_versions", "webhooks"}:
            return isinstance(one, dict) and str(one.get("name", "")).startswith(self._prefix)
        return True


def _token_of(call: Call) -> str:
    return f"token {call.path.rpartition('mlflow/')[2]}"


def _phrase(message: str) -> str:
    for pattern in _PHRASES:
        if match := pattern.search(message):
            return re.sub(r"\(\?P<what>.*?\)", match["what"] or "", pattern.pattern)
    return ""


class Player:
    """Plays sequences on both servers, request by request."""

    def __init__(self, theirs: int, ours: int) -> None:
        self._sides = Side(theirs), Side(ours)
        self._played = 0

    def play(self, calls: list[Call]) -> Iterator[Pair]:
        """The answers to one request after the other. Stop when the servers' states differ."""
        self._played += 1
        prefix = f"d{self._played:0{PREFIX_LENGTH - 1}d}"
        for side in self._sides:
            side.forget_webhooks()
            side.begin(prefix)
        for call in calls:
            theirs, ours = (side.play(call) for side in self._sides)
            if theirs.is_success != ours.is_success:  # only one of them may have given a token
                for side in self._sides:
                    side.forget_tokens(call)
            yield Pair(call, theirs, ours, follows_protocol(call), self._sides[1].idle)

    def close(self) -> None:
        for side in self._sides:
            side.close()
