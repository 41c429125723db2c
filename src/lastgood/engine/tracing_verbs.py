"""The verbs that explain: blame and lineage."""

from dataclasses import replace
from typing import Literal

from lastgood.core.lineage import parse_ingredient
from lastgood.core.moments import Moment
from lastgood.core.reproducibility import missing_items
from lastgood.core.views import BlameView, LineageView, VersionView
from lastgood.engine.kernel import Kernel
from lastgood.engine.past import model_meant, point_at, read_models_at, read_past
from lastgood.engine.preflight import read_manifest
from lastgood.engine.resolve import Found, find
from lastgood.engine.tracing import blame, lineage_down, lineage_up
from lastgood.errors import InvalidReference
from lastgood.store.database import Connection

__all__ = ["TracingVerbs"]


class TracingVerbs:
    """The part of the registry in process that explains what is there."""

    _kernel: Kernel

    def blame(self, reference: str, *, at: Moment | None = None) -> BlameView:
        now = self._kernel.clock()

        def query(connection: Connection) -> BlameView:
            model = model_meant(connection, reference, now=now)
            return read_past(
                connection, at, model, lambda c: blame(c, self._kernel.settings, reference, now=now)
            )

        view = self._kernel.database.read(query)
        return replace(view, version=self._with_manifest(view.version))

    def lineage(
        self, subject: str, *, direction: Literal["up", "down"], at: Moment | None = None
    ) -> LineageView:
        now = self._kernel.clock()
        ingredient = parse_ingredient(subject)

        def down(connection: Connection) -> LineageView:
            if at is None:
                return lineage_down(connection, subject, now=now, then=now)
            then = point_at(connection, at).at_ms
            if ingredient is not None:
                return read_models_at(
                    connection, at, lambda c: lineage_down(c, subject, now=now, then=then)
                )
            model = model_meant(connection, subject, now=now)
            return read_past(
                connection, at, model, lambda c: lineage_down(c, subject, now=now, then=then)
            )

        def up(connection: Connection) -> Found:
            if at is None:
                return find(connection, subject, now=now)
            model = model_meant(connection, subject, now=now)
            return read_past(connection, at, model, lambda c: find(c, subject, now=now))

        if direction == "down":
            return self._kernel.database.read(down)
        if ingredient is not None:
            raise InvalidReference(
                f"'{subject}' is what versions are made from: nothing is known above it",
                hint="ask what was made from it: --down",
            )
        found = self._kernel.database.read(up)
        digest = found.version.digest
        manifest = read_manifest(self._kernel.objects, digest) if digest else None
        return lineage_up(found, manifest)

    def _with_manifest(self, view: VersionView) -> VersionView:
        """The view with its manifest, and what that lacks."""
        if view.digest is None:
            return view
        # A manifest never changes, so it may be read after the snapshot.
        manifest = read_manifest(self._kernel.objects, view.digest)
        lacks = missing_items(manifest, {one.name: one.outcome for one in view.evidence})
        return replace(view, manifest=manifest, missing=lacks)
