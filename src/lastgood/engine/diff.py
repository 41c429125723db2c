"""What differs between two versions."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from lastgood.core.manifest import DataInput, Manifest
from lastgood.core.views import Difference

__all__ = ["differences"]

_Facts = Mapping[str, str]


def differences(a: Manifest, b: Manifest) -> tuple[Difference, ...]:
    """Everything in which two manifests differ, in a fixed order of sections."""
    found: list[Difference] = []
    for section, facts in _SECTIONS.items():
        before, after = facts(a), facts(b)
        found += [
            Difference(section=section, name=name, before=before.get(name), after=after.get(name))
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ]
    return tuple(_with_note(one, a, b) for one in found)


def _with_note(one: Difference, a: Manifest, b: Manifest) -> Difference:
    match one.section:
        case "metrics":
            note = _delta(a.metrics.get(one.name), b.metrics.get(one.name))
        case "files":
            sizes = [(file.size if (file := m.file(one.name)) else None) for m in (a, b)]
            note = _bytes_delta(sizes[0], sizes[1])
        case "data":
            note = _bytes_delta(_sizes(a).get(one.name), _sizes(b).get(one.name))
        case "packages":
            note = "added" if one.before is None else "removed" if one.after is None else "changed"
        case _:
            return one
    return replace(one, note=note)


def _delta(before: float | str | None, after: float | str | None) -> str:
    """By how much a metric moved; nothing for what is no number."""
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return ""
    relative = f" ({(after - before) / abs(before):+.2%})" if before else ""
    return f"{after - before:+g}{relative}"


def _bytes_delta(before: int | None, after: int | None) -> str:
    return "" if before is None or after is None else f"{after - before:+,} bytes"


def _metrics(manifest: Manifest) -> _Facts:
    return {name: str(value) for name, value in manifest.metrics.items()}


def _params(manifest: Manifest) -> _Facts:
    return manifest.params


def _data(manifest: Manifest) -> _Facts:
    return {name: data.digest for name, data in _named_data(manifest).items()}


def _sizes(manifest: Manifest) -> Mapping[str, int | None]:
    return {name: data.size for name, data in _named_data(manifest).items()}


def _named_data(manifest: Manifest) -> dict[str, DataInput]:
    return {
        f"{data.path or data.name} ({data.context})"
        if data.context
        else data.path or data.name: data
        for data in manifest.data
    }


def _code(manifest: Manifest) -> _Facts:
    code = manifest.code
    return {
        "commit": code.commit,
        "remote": code.remote,
        "branch": code.branch,
        "patch": code.patch or ("not kept" if code.dirty else ""),
        "entry point": " ".join((code.entry_point, *code.arguments)),
        "untracked": ", ".join(code.untracked),
    }


def _environment(manifest: Manifest) -> _Facts:
    environment = manifest.environment
    return {
        "python": environment.python,
        "platform": environment.platform,
        **environment.settings,
    }


def _packages(manifest: Manifest) -> _Facts:
    """All that are installed; if that is not known, what the model's files ask for."""
    environment, found = manifest.environment, {}
    for line in environment.installed or environment.packages:
        name, _, version = line.partition("==")
        found[name.strip()] = version.strip() or line
    return found


def _signature(manifest: Manifest) -> _Facts:
    return {"signature": manifest.signature}


def _files(manifest: Manifest) -> _Facts:
    return {f.path: f"{f.digest[:19]} {f.size:,} bytes" for f in manifest.files}


def _side(manifest: Manifest) -> _Facts:
    return {f.path: f"{f.digest[:19]} {f.size:,} bytes" for f in manifest.side}


def _tags(manifest: Manifest) -> _Facts:
    return manifest.tags


def _source(manifest: Manifest) -> _Facts:
    return {"run": manifest.source.run_id, "uri": manifest.source.uri}


_SECTIONS: dict[str, Callable[[Manifest], _Facts]] = {
    "metrics": _metrics,
    "params": _params,
    "data": _data,
    "code": _code,
    "environment": _environment,
    "packages": _packages,
    "signature": _signature,
    "files": _files,
    "side files": _side,
    "tags": _tags,
    "source": _source,
}
