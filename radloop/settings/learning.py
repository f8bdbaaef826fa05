"""The tables of radloop.toml that the learning loop reads: who reads, what may be learned from, how it is trained."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from radloop.settings.sections import Seconds, Section

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class ConsentSettings(Section):
    """Which studies may be learned from. A patient's own word, where there is one, beats the policy."""

    policy: Literal["none", "training"] = Field(
        "none", description='what holds for a patient of whom nothing is known: "none" (opt-in) or "training"'
    )


class Reader(Section):
    """A radiologist as reports name them. The table's name is the actor's: `[readers.NAME]`."""

    ids: tuple[str, ...] = Field((), description="identifiers in OBR-32 and in SRs (person identifier)")
    names: tuple[str, ...] = Field((), description='names as reports have them, "FAMILY^GIVEN"')


class Phrase(Section):
    """How this site's reports say that a finding is there, or is not, where no code says so."""

    model: str = Field(description="name of the model")
    finding: str = Field(description="target of the model, by its card's name")
    present: tuple[Pattern, ...] = Field((), description="regular expressions that say that it is there")
    absent: tuple[Pattern, ...] = Field((), description="regular expressions that say that it is not there")

    @field_validator("present", "absent")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from None
        return patterns


class TrainingSettings(Section):
    """How models are retrained."""

    device: str = Field("auto", description='"auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N"')
    threads: int = Field(0, ge=0, le=64, description="torch threads (0: one per core); another count, other weights")
    processes: int = Field(1, ge=1, le=64, description="training processes on this machine (torchrun)")
    overrides: int = Field(50, ge=1, description="new overrides from which a scheduled retrain trains")
    agreements: Annotated[float, Field(ge=0, le=1)] = Field(
        0.1, description="share of the agreements that a cohort draws, each with this known probability"
    )
    uncertain: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.1, description="agreements whose probability is this close to the threshold are all drawn"
    )
    folder: Path | None = Field(None, description="checkpoints; absent: `training` under the home")


class RetentionSettings(Section):
    """How long what is not needed any more is kept. A legal hold beats all of it."""

    pictures_days: Annotated[float, Field(gt=0)] | None = Field(
        None, description="days after sign-off until pictures and pixels of a study are deleted; absent: kept"
    )
    reports_days: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="days after sign-off until what was sent (SR, SC, ORU, ...) is deleted; absent: kept",
    )
    keep_for_audits: bool = Field(
        True, description="what the next audit report has not looked at yet is not deleted before it has"
    )
    audit_years: Annotated[float, Field(ge=1, le=100)] = Field(
        6.0, description="years that audit records are kept at least (HIPAA: six)"
    )


class StandingSettings(Section):
    """How fast a change of standing is seen, and how its effects are watched."""

    watch_seconds: Seconds = Field(2.0, description="how often stop rules and new standings are looked at")
