"""The URL of a PostgreSQL database, whose password is nobody else's business."""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from lastgood.errors import InvalidInput

__all__ = ["StoreAddress", "parse_address"]

_SCHEMES = frozenset({"postgresql", "postgres"})
_SECRETS = frozenset({"password", "sslpassword"})
_URL = re.compile(r"\w+://[\x21\x23-\x5b\x5d-\x7e]*")  # what a line of TOML can hold as it is
_HINT = "use postgresql://user@host:5432/database; see docs/how-to/postgresql.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAddress:
    """A PostgreSQL database. Two addresses are equal if they lead to the same place, whatever the password."""

    public: str
    """Without passwords: may be shown and stored."""
    full: str = field(repr=False, compare=False)
    """As it was given, for the driver alone."""
    holds_password: bool = field(compare=False)

    def __str__(self) -> str:
        return self.public


def parse_address(url: str) -> StoreAddress:
    """Read the URL of a PostgreSQL database.

    Raises:
        InvalidInput: it is not one; the message does not show what was given, because it may hold a secret.
    """
    try:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise InvalidInput("The URL of the store cannot be read", hint=_HINT) from None
    if _URL.fullmatch(url) is None or parts.scheme not in _SCHEMES or parts.fragment:
        raise InvalidInput("The store is not the URL of a PostgreSQL database", hint=_HINT)
    if not parts.path.strip("/"):
        raise InvalidInput("The URL of the store names no database", hint=_HINT)
    user, at, hosts = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    shown = [(key, value) for key, value in options if key not in _SECRETS]
    query = urlencode(shown, safe="/:,", quote_via=quote)
    return StoreAddress(
        public=f"postgresql://{name}{at}{hosts}{parts.path}{'?' if query else ''}{query}",
        full=url,
        holds_password=bool(password) or shown != options,
    )
