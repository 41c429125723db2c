"""MLflow's stages, and the refs that two of them are."""

from enum import StrEnum

from lastgood.core.ids import RefName, printable
from lastgood.errors import InvalidInput

__all__ = ["Stage", "ref_of_stage", "stage_named", "stage_of_ref"]


class Stage(StrEnum):
    """A label on a version; several versions may share one. Spelled as MLflow does."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


_REF_OF_STAGE = {Stage.STAGING: RefName("staging"), Stage.PRODUCTION: RefName("production")}
_STAGE_OF_REF = {ref: stage for stage, ref in _REF_OF_STAGE.items()}
_BY_LOWER = {stage.value.lower(): stage for stage in Stage}


def stage_named(text: str) -> Stage:
    """The stage of that name in any case.

    Raises:
        InvalidInput: there is no such stage.
    """
    stage = _BY_LOWER.get(text.lower())
    if stage is None:
        known = ", ".join(s.value for s in Stage)
        raise InvalidInput(
            f"Invalid Model Version stage: {printable(text)}. Value must be one of {known}."
        )
    return stage


def ref_of_stage(stage: Stage) -> RefName | None:
    """The ref that the stage is, or None for None and Archived."""
    return _REF_OF_STAGE.get(stage)


def stage_of_ref(ref: RefName) -> Stage | None:
    """The stage that the ref is, or None for a ref that MLflow knows as an alias only."""
    return _STAGE_OF_REF.get(ref)
