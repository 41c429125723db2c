"""What differs between two versions."""

from collections.abc import Mapping

from lastgood.core.manifest import Manifest
from lastgood.core.views import Difference

__all__ = ["differences"]


def differences(a: Manifest, b: Manifest) -> tuple[Difference, ...]:
    """Everything in which two manifests differ, in a fixed order of sections."""
    found: list[Difference] = []
    for section, before, after in _sections(a, b):
        found += [
            Difference(section=section, name=name, before=before.get(name), after=after.get(name))
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ]
    return tuple(found)


def _sections(a: Manifest, b: Manifest) -> list[tuple[str, Mapping[str, str], Mapping[str, str]]]:
    return [
        ("metrics", _texts(a.metrics), _texts(b.metrics)),
        ("params", a.params, b.params),
        ("data", _data(a), _data(b)),
        ("code", _code(a), _code(b)),
        ("environment", _environment(a), _environment(b)),
        ("signature", {"signature": a.signature}, {"signature": b.signature}),
        ("files", _files(a), _files(b)),
        ("tags", a.tags, b.tags),
        ("source", _source(a), _source(b)),
    ]


def _texts(values: Mapping[str, float | str]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def _data(manifest: Manifest) -> dict[str, str]:
    return {f"{d.name} ({d.context})" if d.context else d.name: d.digest for d in manifest.data}


def _code(manifest: Manifest) -> dict[str, str]:
    code = manifest.code
    return {
        "commit": code.commit,
        "remote": code.remote,
        "branch": code.branch,
        "entry point": code.entry_point,
    }


def _environment(manifest: Manifest) -> dict[str, str]:
    found = {"python": manifest.environment.python}
    for line in manifest.environment.packages:
        name, _, version = line.partition("==")
        found[name.strip()] = version.strip() or line
    return found


def _files(manifest: Manifest) -> dict[str, str]:
    return {f.path: f"{f.digest[:19]} {f.size:,} bytes" for f in manifest.files}


def _source(manifest: Manifest) -> dict[str, str]:
    return {"run": manifest.source.run_id, "uri": manifest.source.uri}
