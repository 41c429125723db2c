"""``config.toml`` of a data directory. Unknown keys are errors, so that a typo cannot switch a rule off."""

import tomllib
from pathlib import Path

import msgspec

from lastgood.core.destinations import Reach
from lastgood.core.goodness import GoodRule
from lastgood.errors import InvalidInput

__all__ = [
    "ObjectsPlace",
    "Settings",
    "StorePlace",
    "WebhookRule",
    "default_config",
    "load_settings",
]

_HEAD = """\
# Settings of this lastgood data directory. The rules shown are the defaults.

"""
_PLACE_HERE = """\
# The objects are in the directory objects/ beside this file; or, if set when the data directory is made, in a bucket:
# [objects]
# url = "s3://bucket/prefix"

"""
_PLACE_ELSEWHERE = """\
[objects]
# Where the objects are. To move them, copy them first.
url = "{url}"

"""
_STORE = """\
[store]
# Where everything but the objects is. A password does not belong here, see docs/how-to/postgresql.md.
url = "{url}"

"""
_RULES = """\
[good]
# A version earns `good` in an environment when every gateway that was ordered to serve it loaded it,
# it answered at least this many requests there,
requests_min = 100
# over at least this many seconds, with no larger share of failed requests than its predecessor
seconds_min = 60.0
# (or than this, if the predecessor answered none).
failure_share_max = 0.01

# The same keys for one environment only:
# [environments.staging]
# requests_min = 10

[webhooks]
# Where webhooks may be sent: "public": by https to public addresses; "loopback": also to this machine;
# "private": also by http, and to addresses of private networks.
reach = "loopback"
"""


def default_config(*, objects_url: str, store_url: str = "") -> str:
    """The text of a new ``config.toml``; a URL, checked, is empty if that part is in the directory."""
    place = _PLACE_ELSEWHERE.format(url=objects_url) if objects_url else _PLACE_HERE
    store = _STORE.format(url=store_url) if store_url else ""
    return _HEAD + store + place + _RULES


class StorePlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the database is."""

    url: str = ""
    """Empty: in the data directory."""


class ObjectsPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the objects are."""

    url: str = ""
    """Empty: in the data directory."""
    direct: bool = True
    """Whether clients may be sent to the bucket with signed addresses; they must reach it as we do."""


class WebhookRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What webhooks may do."""

    reach: Reach = "loopback"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings."""

    store: StorePlace = msgspec.field(default_factory=StorePlace)
    objects: ObjectsPlace = msgspec.field(default_factory=ObjectsPlace)
    good: GoodRule = msgspec.field(default_factory=GoodRule)
    environments: dict[str, GoodRule] = msgspec.field(default_factory=dict)
    webhooks: WebhookRule = msgspec.field(default_factory=WebhookRule)

    def rule_for(self, environment: str) -> GoodRule:
        """When a version is good in that environment."""
        return self.environments.get(environment, self.good)


def load_settings(path: Path) -> Settings:
    """Read the file; without one, the defaults.

    Raises:
        InvalidInput: it is no TOML, or has an unknown key or a value of the wrong type.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Settings)
    except FileNotFoundError:
        return Settings()
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path}: {error}", hint="docs/how-to/configure.md lists all settings"
        ) from error
