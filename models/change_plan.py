"""A model's predetermined change control plan, as `models/zoo/<model>/change_plan.toml` writes it down.

It says beforehand what a new version may change, by which measured margins it is let in, how much error all looks at a
test set may cost together, who approves, and when a champion is taken back (FDA, "Marketing Submission Recommendations
for a Predetermined Change Control Plan for Artificial Intelligence-Enabled Device Software Functions", December 2024:
description of modifications, modification protocol, impact assessment). No code decides a margin.
"""

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models import zoo
from radloop.domain.errors import NotFound, Unparsable

FILE: Final = "change_plan.toml"
Share = Annotated[float, Field(ge=0, le=1)]
Margin = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Cases = Annotated[int, Field(ge=2)]
"""One case of a kind has no variance."""
Aspect = Literal["weights", "threshold", "calibration", "architecture", "input", "targets", "applicability", "use"]
"""What a version may differ in. `architecture`: the networks and how they are put together; `input`: the size of what
they see; `targets`: findings, codes, urgency; `applicability`: the images that may be read; `use`: title and intended
use."""
Fact = Literal["scanner", "site", "sex", "age_band"]


class Table(BaseModel):
    """A table of the plan: unknown keys are errors, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Scope(Table):
    """What the plan is for, and what a new version may change without leaving it."""

    model: str
    version: Count
    may_change: tuple[Aspect, ...]


class AlphaBudget(Table):
    """How much error all looks at one test set may cost together, one-sided."""

    total: Annotated[float, Field(gt=0, le=0.05)]
    floor: Annotated[float, Field(gt=0, le=0.05)]
    """A look that could spend less than this is not taken."""
    shared: Annotated[float, Field(gt=0, le=1)]
    """An earlier look counts where it saw this share of the test set's images."""

    @model_validator(mode="after")
    def _one_look_fits(self) -> "AlphaBudget":
        if self.floor > self.total / 2:
            raise ValueError("floor: not even the first look, which spends half of total, could be taken")
        return self


class Evidence(Table):
    """Below these numbers nothing is decided."""

    positives: Cases
    negatives: Cases
    patients: Count
    power: Annotated[float, Field(ge=0.5, lt=1)]
    """The least chance that a gate would have had to pass a version that is truly as good."""


class Resampling(Table):
    """The patient-clustered bootstrap."""

    draws: Annotated[int, Field(ge=500, le=100_000)]
    seed: Annotated[int, Field(ge=0)]


class People(Table):
    """Who approves: so many different people, none of whom trained the version."""

    people: Annotated[int, Field(ge=1, le=9)]
    roles: tuple[str, ...]


class Approval(People):
    """A version beside a champion has read `compared` studies here, silently, before anybody approves it."""

    compared: Count


class MarginGate(Table):
    """Not worse than the other version by more than `margin`, a difference of shares, 0..1."""

    margin: Margin


class SubgroupGate(Table):
    """No subgroup below `floor` (AUC), and none worse than the champion by more than `margin` (AUC)."""

    facts: tuple[Fact, ...]
    positives: Cases
    negatives: Cases
    floor: Share
    margin: Margin
    required: tuple[Fact, ...] = ()
    """Facts of which a subgroup that is too small makes insufficient evidence; of the others it is listed."""


class CalibrationGate(Table):
    """Expected calibration error and Brier score: not worse than the champion's by more than these."""

    ece: Margin
    brier: Margin


class LatencyGate(Table):
    """Seconds per image at batch 1: the median, as a multiple of the champion's."""

    factor: Annotated[float, Field(ge=1)]
    images: Annotated[int, Field(ge=5, le=1000)]


class GoldenGate(Table):
    """Synthetic images whose answers must not move by a bit between two loads."""

    images: Annotated[int, Field(ge=2, le=100)]
    seed: Annotated[int, Field(ge=0)]


class LabelGate(Table):
    """The rarer label has at least this share of the test set."""

    least_share: Annotated[float, Field(gt=0, le=0.5)]


class DriftGate(Table):
    """No check of this suite has failed when it last ran."""

    suite: str


class Gates(Table):
    """The gates of a challenger against champion and original."""

    auc: MarginGate
    sensitivity: MarginGate
    specificity: MarginGate
    subgroup: SubgroupGate
    calibration: CalibrationGate
    latency: LatencyGate
    golden: GoldenGate
    labels: LabelGate
    drift: DriftGate


class Bootstrap(Table):
    """How the first champion gets in: absolute floors, since there is nobody to compare with."""

    people: Annotated[int, Field(ge=1, le=9)]
    auc: Share
    sensitivity: Share
    specificity: Share
    ece: Share
    brier: Share
    seconds: Annotated[float, Field(gt=0)]
    """The longest median of seconds per image."""
    reach: Margin
    """How far a version that we want lies on the right side of every floor: power is reckoned for it."""


class StopRule(Table):
    """A champion is taken back when the live measure crosses `limit`.

    `agreement`: the share of verdicts that confirm, below `limit`. `error_rate`: the share of attempts that made no
    result, above it. `latency`: the median of seconds per study, above it. Counted over the last `hours`, from
    `minimum` cases on, `by` all of them or by each site or scanner alone.
    """

    measure: Literal["agreement", "error_rate", "latency"]
    by: Literal["all", "site", "scanner"] = "all"
    limit: Annotated[float, Field(gt=0)]
    minimum: Count
    hours: Annotated[float, Field(gt=0, le=24 * 365)]

    @model_validator(mode="after")
    def _shares_are_shares(self) -> "StopRule":
        if self.measure != "latency" and self.limit >= 1:
            raise ValueError("limit: agreement and error_rate are shares, below 1")
        return self

    def broken(self, value: float) -> bool:
        """Whether a measured value (a share, or seconds) is on the wrong side of the limit."""
        return value < self.limit if self.measure == "agreement" else value > self.limit


class QualificationRule(People):
    """RESEARCH -> PRODUCT: apart from standing, and by other people's approval."""

    evidence: tuple[str, ...]
    """What must lie on the table, in words."""


class ChangePlan(Table):
    """The whole plan. `sha256` (hex) is of the file's bytes: an evaluation records under which plan it was made."""

    plan: Scope
    alpha: AlphaBudget
    evidence: Evidence
    resampling: Resampling
    approval: Approval
    gates: Gates
    bootstrap: Bootstrap
    stop_rules: tuple[StopRule, ...] = ()
    qualification: QualificationRule
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def read_plan(model: str, folder: Path | None = None) -> ChangePlan:
    """The plan of a model of the zoo, or the one that lies in `folder`.

    Raises:
        NotFound: there is no such model in the zoo, or it has no plan.
        Unparsable: the plan is not TOML, a value is wrong, or it is another model's; the message says where.
    """
    try:
        data = ((folder or _home(model)) / FILE).read_bytes()
    except OSError:
        raise NotFound(f"the model {model} has no {FILE}") from None
    plan = _parsed(model, data)
    if plan.plan.model != model:
        raise Unparsable(f"{model}/{FILE}: plan.model: this is the plan of another model")
    return plan


def _home(model: str) -> Path:
    """The model's folder in the zoo. A name that is no identifier names no folder."""
    if not (model.isascii() and model.isidentifier()):
        raise NotFound("there is no such model in the zoo")
    return Path(zoo.__path__[0]) / model


def _parsed(model: str, data: bytes) -> ChangePlan:
    try:
        table = tomllib.loads(data.decode())
        return ChangePlan.model_validate({**table, "sha256": hashlib.sha256(data).hexdigest()})
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Unparsable(f"{model}/{FILE}: not valid TOML: {error}") from None
    except ValidationError as error:
        raise Unparsable("\n".join(_problems(model, error))) from None


def _problems(model: str, error: ValidationError) -> list[str]:
    return [
        f"{model}/{FILE}: {'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg'].removeprefix('Value error, ')}"
        for one in error.errors(include_url=False, include_input=False)
    ]
