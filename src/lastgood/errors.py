"""The one error tree.

    LastgoodError                      exit  http
    ├── InvalidInput                   2     400   what was given cannot be right
    │   ├── InvalidReference
    │   ├── InvalidName
    │   ├── TooLarge                         413
    │   └── TooSlow                          408    the request, or the reading of its answer, stalled
    ├── Refused                        3     403   a rule forbids it
    │   ├── Blocked                                a gate, or another rule of the policy, is in the way
    │   ├── Held                                   a hold is on the version
    │   ├── Protected                              something still needs it
    │   ├── NothingGood                            no version ever proved good
    │   ├── Unverified                             an external version without a digest
    │   ├── Yanked                                 the version was withdrawn
    │   └── Irreversible                           an operation that cannot be taken back (any more)
    ├── NotFound                       4     404
    ├── AlreadyExists                  5     409
    ├── Conflict                       5     409   the state moved since it was read
    ├── IntegrityFailure               6     409   bytes are not what their digest says
    ├── NotConverged                   7     504
    ├── StoreUnavailable               1     503   the store cannot be opened, or is locked by another server
    │   └── StoreFull                        507
    ├── Overloaded                     1     503   too much at once; nothing was changed
    ├── ServerUnreachable              1     503
    └── NotSupported                   1     501

A class carries the exit code of the command line, the HTTP status of the native API and the error
code that an MLflow client expects; an instance carries the sentence and, in `hint`, the next step.
"""

from typing import ClassVar

__all__ = [
    "AlreadyExists",
    "Blocked",
    "Conflict",
    "Held",
    "IntegrityFailure",
    "InvalidInput",
    "InvalidName",
    "InvalidReference",
    "Irreversible",
    "LastgoodError",
    "NotConverged",
    "NotFound",
    "NotSupported",
    "NothingGood",
    "Overloaded",
    "Protected",
    "Refused",
    "ServerUnreachable",
    "StoreFull",
    "StoreUnavailable",
    "TooLarge",
    "TooSlow",
    "Unverified",
    "Yanked",
    "error_class",
]


class LastgoodError(Exception):
    """The root: something that lastgood can explain.

    Args:
        message: What was wrong and which object, as one sentence without a final stop.
        hint: What to do next; may name a command.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    mlflow_code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInput(LastgoodError):
    """The request itself cannot be right, whatever the state is."""

    exit_code = 2
    http_status = 400
    mlflow_code = "INVALID_PARAMETER_VALUE"


class InvalidReference(InvalidInput):
    """A reference to a version that does not follow the grammar."""


class InvalidName(InvalidInput):
    """A name that may not be used."""


class TooLarge(InvalidInput):
    """Something exceeds its stated limit."""

    http_status = 413


class TooSlow(InvalidInput):
    """What was announced did not come in time."""

    http_status = 408


class Refused(LastgoodError):
    """A rule forbids the act."""

    exit_code = 3
    http_status = 403
    mlflow_code = "PERMISSION_DENIED"


class Blocked(Refused):
    """The policy of the environment does not let the version in."""


class Held(Refused):
    """A hold forbids promoting the version to the environment."""


class Protected(Refused):
    """The object is still needed: live, last good, held, or followed by a server."""

    http_status = 409
    mlflow_code = "RESOURCE_CONFLICT"


class NothingGood(Refused):
    """No version has proved good in the environment, so there is nothing to return to."""


class Unverified(Refused):
    """The version is external: it has no digest, so nothing can be promised about its bytes."""


class Yanked(Refused):
    """The version was withdrawn: nothing may be pointed at it."""


class Irreversible(Refused):
    """The operation cannot be taken back: by its nature, or because of what happened since."""

    http_status = 409
    mlflow_code = "RESOURCE_CONFLICT"


class NotFound(LastgoodError):
    """The named object does not exist."""

    exit_code = 4
    http_status = 404
    mlflow_code = "RESOURCE_DOES_NOT_EXIST"


class AlreadyExists(LastgoodError):
    """The name is taken."""

    exit_code = 5
    http_status = 409
    mlflow_code = "RESOURCE_ALREADY_EXISTS"


class Conflict(LastgoodError):
    """The state that the decision was made on is no longer the state."""

    exit_code = 5
    http_status = 409
    mlflow_code = "RESOURCE_CONFLICT"


class IntegrityFailure(LastgoodError):
    """Stored bytes are missing or differ from their digest."""

    exit_code = 6
    http_status = 409
    mlflow_code = "RESOURCE_CONFLICT"


class NotConverged(LastgoodError):
    """The serving fleet did not follow within the time given."""

    exit_code = 7
    http_status = 504
    mlflow_code = "DEADLINE_EXCEEDED"


class StoreUnavailable(LastgoodError):
    """The data directory cannot be used: locked by another server, read-only, or broken."""

    http_status = 503
    mlflow_code = "TEMPORARILY_UNAVAILABLE"


class StoreFull(StoreUnavailable):
    """No space is left; nothing was written."""

    # Not 503: MLflow clients would repeat the call for four minutes against a full disk.
    http_status = 507
    mlflow_code = "RESOURCE_EXHAUSTED"


class Overloaded(LastgoodError):
    """More at once than the server takes on. Nothing was changed: repeating is safe.

    Args:
        message: As for all.
        hint: As for all.
        retry_after_s: When to come back.
    """

    http_status = 503
    mlflow_code = "TEMPORARILY_UNAVAILABLE"

    def __init__(self, message: str, *, hint: str = "", retry_after_s: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class ServerUnreachable(LastgoodError):
    """No registry answers at the given address."""

    http_status = 503
    mlflow_code = "TEMPORARILY_UNAVAILABLE"


class NotSupported(LastgoodError):
    """The call exists in a protocol that we speak, but not here."""

    http_status = 501
    mlflow_code = "NOT_IMPLEMENTED"


def error_class(name: str) -> type[LastgoodError]:
    """The class of that name, so that a client can raise what the server raised; the root if unknown."""
    found = globals().get(name)
    return found if isinstance(found, type) and issubclass(found, LastgoodError) else LastgoodError
