"""The secrets of webhooks, encrypted: a copy of the database does not give them away.

The key is in the environment, by the name that MLflow gives it, or in a file of the data directory
that only its owner can read.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lastgood.cas.local import sync_directory
from lastgood.errors import IntegrityFailure, InvalidInput, StoreUnavailable

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

__all__ = ["KEY_NAME", "KEY_VARIABLE", "WebhookSecrets"]

KEY_VARIABLE = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"
KEY_NAME = "webhook.key"


class WebhookSecrets:
    """Seals and opens secrets.

    Args:
        key_file: Made, readable by its owner only, when the first secret is sealed without a key in the environment.
    """

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file

    def seal(self, secret: str) -> str:
        """Encrypt a secret.

        Raises:
            InvalidInput: the key in the environment is none. StoreUnavailable: the key file cannot be written.
        """
        return self._box(make=True).encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Decrypt a secret.

        Raises:
            IntegrityFailure: it was sealed with another key, or the key is gone.
        """
        from cryptography.fernet import InvalidToken

        try:
            return self._box(make=False).decrypt(sealed).decode()
        except (InvalidToken, StoreUnavailable):
            raise IntegrityFailure(
                "The secret of the webhook cannot be decrypted: the key that encrypted it is missing",
                hint=f"restore {KEY_NAME} or {KEY_VARIABLE}, or set the webhook's secret again",
            ) from None

    def _box(self, *, make: bool) -> "Fernet":
        from cryptography.fernet import Fernet  # costs time that only webhooks with secrets need

        try:
            return Fernet(os.environ.get(KEY_VARIABLE) or self._key(make=make))
        except ValueError:
            raise InvalidInput(
                f"{KEY_VARIABLE} or {KEY_NAME} is not a Fernet key: 32 bytes as URL-safe base64"
            ) from None

    def _key(self, *, make: bool) -> bytes:
        try:
            if make and not self._key_file.exists():
                self._make()
            return self._key_file.read_bytes().strip()
        except OSError as error:
            raise StoreUnavailable(
                f"{self._key_file} cannot be used: {error.strerror}",
                hint=f"or give the key as {KEY_VARIABLE}",
            ) from error

    def _make(self) -> None:
        """Make the key so that a power cut cannot lose it once a secret was sealed with it."""
        from cryptography.fernet import Fernet

        new = self._key_file.with_suffix(f".{os.getpid()}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(Fernet.generate_key())
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(new, self._key_file)  # fails if another process was quicker: its key counts
            except FileExistsError:
                return
            sync_directory(self._key_file.parent)
        finally:
            new.unlink(missing_ok=True)
