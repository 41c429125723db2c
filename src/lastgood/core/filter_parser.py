"""MLflow's search language: ``metrics.auc > 0.9 AND tags."git.commit" LIKE 'ab%'``.

A filter is a flat conjunction, so one pass over the tokens is a complete parser: its time grows with
the length of the text and nothing else. What a target's keys and operators may be is for the search
that uses the clauses to say; here only the form is checked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lastgood.core.filters import Clause, Order
from lastgood.core.ids import printable
from lastgood.errors import InvalidInput, TooLarge

__all__ = ["parse_filter", "parse_order"]

FILTER_LENGTH_MAX = 1_000_000  # characters; a list of ten thousand run ids fits
ORDER_LENGTH_MAX = 10_000
ORDERS_MAX = 100

_TARGETS = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
}
_EXAMPLE = "for example: metrics.auc > 0.9 AND params.depth = '6'"
# The quoted forms stop at the next quote or at the end, and no two alternatives can begin alike:
# there is nothing to backtrack over.
_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<string>'(?:[^']|'')*')
    | (?P<number>-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<name>(?:"[^"]*"|`[^`]*`|[\w/-]+)(?:\.(?:"[^"]*"|`[^`]*`|[\w/-]+))*)
    | (?P<operator>!=|<=|>=|<>|[=<>])
    | (?P<mark>[(),;])
    """,
    re.VERBOSE,
)
_SIGNS = {"=", "!=", "<", "<=", ">", ">="}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int

    @property
    def word(self) -> str:
        """The keyword it may be."""
        return self.text.upper() if self.kind == "name" else ""


class _Tokens:
    """The tokens of a text, and how far they are read."""

    def __init__(self, text: str, *, what: str) -> None:
        self._what = what
        self._tokens = _tokens(text, what)
        self._end = _Token("end", "", len(text))
        self._next = 0

    def peek(self) -> _Token:
        return self._tokens[self._next] if self._next < len(self._tokens) else self._end

    def take(self) -> _Token:
        token = self.peek()
        self._next += 1
        return token

    def refusal(self, token: _Token, expected: str) -> InvalidInput:
        found = f"'{printable(token.text)}'" if token.text else "the end"
        return InvalidInput(
            f"Invalid clause(s) in {self._what}: expected {expected} at position {token.position}, found {found}",
            hint=_EXAMPLE,
        )


def parse_filter(text: str) -> tuple[Clause, ...]:
    """Read a filter; an empty one has no clauses. One of spaces alone is refused, as MLflow does.

    Raises:
        InvalidInput: it does not follow the grammar; the message says where.
        TooLarge: it has more than 1,000,000 characters.
    """
    if len(text) > FILTER_LENGTH_MAX:
        raise TooLarge(f"A filter exceeds the maximum length of {FILTER_LENGTH_MAX:,} characters")
    if not text:
        return ()
    tokens = _Tokens(text, what="filter string")
    clauses = [_clause(tokens)]
    while tokens.peek().kind != "end":
        joint = tokens.take()
        if joint.word != "AND":
            raise tokens.refusal(joint, "AND")
        clauses.append(_clause(tokens))
    return tuple(clauses)


def parse_order(texts: Sequence[str]) -> tuple[Order, ...]:
    """Read the keys to sort by, each ``key [ASC|DESC]``.

    Raises:
        InvalidInput: one does not follow the grammar; the message says where.
        TooLarge: there are more than 100, or one is longer than 10,000 characters.
    """
    if len(texts) > ORDERS_MAX:
        raise TooLarge(f"At most {ORDERS_MAX} order_by fields are allowed. Got {len(texts)}")
    return tuple(_order(text) for text in texts)


def _order(text: str) -> Order:
    if len(text) > ORDER_LENGTH_MAX:
        raise TooLarge(f"An order_by field exceeds the maximum length of {ORDER_LENGTH_MAX:,}")
    tokens = _Tokens(text, what="order_by")
    name = tokens.take()
    if name.kind != "name":
        raise tokens.refusal(name, "a key to sort by")
    target, key = _target_and_key(tokens, name)
    direction = tokens.take()
    if direction.kind != "end" and direction.word not in {"ASC", "DESC"}:
        raise tokens.refusal(direction, "ASC or DESC")
    if (rest := tokens.peek()).kind != "end":
        raise tokens.refusal(rest, "the end")
    return Order(target, key, ascending=direction.word != "DESC", position=name.position)


def _clause(tokens: _Tokens) -> Clause:
    name = tokens.take()
    if name.kind != "name":
        raise tokens.refusal(name, "an attribute, metric, param or tag")
    target, key = _target_and_key(tokens, name)
    operator, literal = _operator(tokens), tokens.peek()
    value = None if operator.startswith("IS") else _value(tokens, operator)
    written = literal.text if literal.kind == "number" else ""
    return Clause(target, key, operator, value, name.position, written)


def _operator(tokens: _Tokens) -> str:
    token = tokens.take()
    if token.kind == "operator" and token.text in _SIGNS:
        return token.text
    if token.word in {"LIKE", "ILIKE", "IN"}:
        return token.word
    if token.word == "NOT" and tokens.peek().word == "IN":
        tokens.take()
        return "NOT IN"
    if token.word == "IS":
        negated = tokens.peek().word == "NOT"
        if negated:
            tokens.take()
        if (null := tokens.take()).word != "NULL":
            raise tokens.refusal(null, "NULL")
        return "IS NOT NULL" if negated else "IS NULL"
    raise tokens.refusal(
        token, "a comparison operator (=, !=, <, <=, >, >=, LIKE, ILIKE, IN, NOT IN)"
    )


def _value(tokens: _Tokens, operator: str) -> str | float | tuple[str, ...]:
    if operator in {"IN", "NOT IN"}:
        return _list(tokens)
    token = tokens.take()
    if token.kind == "number":
        return _number(token.text)
    if (text := _quoted(token)) is None:
        raise tokens.refusal(token, "a quoted string value or a number")
    return text


def _list(tokens: _Tokens) -> tuple[str, ...]:
    opening = tokens.take()
    if opening.text != "(":
        raise tokens.refusal(opening, "a list in parentheses")
    found: list[str] = []
    while True:
        token = tokens.take()
        if token.text == ")" and found:  # also after a last comma
            return tuple(found)
        if (text := _quoted(token)) is None:
            raise tokens.refusal(token, "a quoted string value in the list")
        found.append(text)
        after = tokens.take()
        if after.text == ")":
            return tuple(found)
        if after.text != ",":
            raise tokens.refusal(after, "',' or ')'")


def _quoted(token: _Token) -> str | None:
    if token.kind == "string":
        return token.text[1:-1].replace("''", "'")
    # A name of one part in double quotes, where a value belongs, is a string.
    if token.kind == "name" and token.text[0] == '"' and token.text.count('"') == 2:
        return token.text[1:-1] if token.text[-1] == '"' else None
    return None


def _number(text: str) -> float:
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    return float(text)


def _target_and_key(tokens: _Tokens, name: _Token) -> tuple[str, str]:
    first, dot, rest = _first_part(name.text)
    if not dot:
        return "attribute", _unquoted(first)
    target = _TARGETS.get(_unquoted(first))
    if target is None:
        raise tokens.refusal(
            name, "metrics., params., tags., attributes. or datasets. before the key"
        )
    return target, _unquoted(rest)


def _first_part(text: str) -> tuple[str, str, str]:
    if text[0] in {'"', "`"}:
        end = text.index(text[0], 1) + 1
        return text[:end], text[end : end + 1], text[end + 1 :]
    return text.partition(".")


def _unquoted(text: str) -> str:
    whole = len(text) >= 2 and text[0] == text[-1] and text[0] in {'"', "`"}
    return text[1:-1] if whole and text.count(text[0]) == 2 else text


def _tokens(text: str, what: str) -> list[_Token]:
    found: list[_Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidInput(
                f"Invalid clause(s) in {what}: '{printable(text[position : position + 20])}' "
                f"at position {position} is not understood",
                hint=_EXAMPLE,
            )
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(_Token(kind, match.group(), position))
        position = match.end()
    # A final semicolon is no statement of its own.
    return found[:-1] if found and found[-1].text == ";" else found
