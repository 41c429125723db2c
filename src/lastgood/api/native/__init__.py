"""The native HTTP API: every verb of the registry under ``/api/v1``, described by OpenAPI."""

from lastgood.api.native.app import create_native_app

__all__ = ["create_native_app"]
