"""Frozen records of the learning loop: consent, cohorts, training, gates, approvals, standing.

As in `radloop.domain.records`: ids are ours, and patients are surrogate ids. Times are aware UTC datetimes.
"""

from dataclasses import dataclass
from datetime import datetime

from radloop.domain.enums import (
    ApprovalKind,
    Awareness,
    Consent,
    GateOutcome,
    RunState,
    Split,
    Standing,
)
from radloop.domain.records import Blob


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentGiven:
    """What a patient (`patient`: our surrogate id) said, and when; the newest counts."""

    patient: str
    consent: Consent
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What subgroups are made of, without the patient: '' where unknown. `age_band` such as "40-59"."""

    site: str = ""
    scanner: str = ""
    sex: str = ""
    age_band: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCopy:
    """One image as a model's network sees it, kept apart from the study so that it can be deleted alone.

    `blob`: safetensors, no header, no identifiers. `patient` is our surrogate id. `version_id` and `instance_id` are
    None for an imported image. `content_sha256` is of the encoded data set, `pixel_sha256` of the prepared pixels.
    """

    id: str
    model: str
    patient: str
    version_id: str | None
    instance_id: str | None
    content_sha256: str
    pixel_sha256: str
    blob: Blob
    facts: Facts
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What one reader says of one target in one image or study: `value` 1 (there) or 0."""

    target: str
    value: int
    reader: str
    awareness: Awareness
    origin: str
    """The verdict's id, or `import`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortMember:
    """One labelled image of a cohort. `probability` is the known chance with which it was drawn, 0..1."""

    copy_id: str
    patient: str
    instance_id: str | None
    content_sha256: str
    pixel_sha256: str
    split: Split
    label: Label
    facts: Facts
    stratum: str
    """Why it is here: override, agreement, uncertain, replay, import."""
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """A frozen list of labelled images. `digest` is the SHA-256 (hex) of its canonical JSON manifest.

    `left_out` counts by reason what could have been in it and is not.
    """

    id: str
    digest: str
    model: str
    members: tuple[CohortMember, ...]
    left_out: tuple[tuple[str, int], ...]
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """One run of `retrain`: from `parent` (a digest, None from scratch) on a cohort to `digest`."""

    id: str
    model: str
    cohort_id: str
    parent: str | None
    digest: str | None
    state: RunState
    commit: str
    device: str
    threads: int
    processes: int
    seed: int
    mlflow_run: str | None
    actor: str
    at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """One gate of one evaluation. `value`, `low`, `high`: the measured number and its confidence interval."""

    gate: str
    outcome: GateOutcome
    value: float | None
    low: float | None
    high: float | None
    margin: float | None
    n: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One look at a test cohort: a challenger against the champion and the original, gate by gate.

    `look` counts the looks at this cohort, from 1; `alpha` is what this one was allowed to spend.
    """

    id: str
    model: str
    digest: str
    champion: str | None
    original: str | None
    cohort_id: str
    plan_sha256: str
    look: int
    alpha: float
    outcome: GateOutcome
    gates: tuple[GateVerdict, ...]
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One person said yes to one version. Unique by (digest, kind, actor)."""

    id: str
    digest: str
    kind: ApprovalKind
    actor: str
    evaluation_id: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingChange:
    """One step of a version's standing (None: it was registered), by whom and why."""

    id: str
    model: str
    digest: str
    before: Standing | None
    after: Standing
    actor: str
    why: str
    at: datetime
