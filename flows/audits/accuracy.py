"""How right a model was over the cases of an audit: shares and areas with 95 % intervals, or that there is too little.

Shares stand between Wilson's bounds, areas between DeLong's; where a patient has several studies, whichever is wider of
these and a bootstrap that draws whole patients, since studies of one patient are alike.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from flows.audits.cases import Case, Gathered, Reading, overridden
from models.curves import area_of, roc_of
from models.evaluation.estimate import Estimate
from models.evaluation.paired import share
from models.evaluation.resampling import Measure, Sample, auc_of, estimate, share_of

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

LEAST: Final = 10
"""Cases that a number needs below its line. The interval of a share of 10 is half as wide as the scale; below, it says
next to nothing, and the few that it counts can be told apart."""
SIDE: Final = 0.025
"""One-sided: intervals of 95 %."""
DRAWS: Final = 1000
SEED: Final = 20260301
"""The same cases give the same report."""
FACTS: Final = ("site", "scanner", "sex", "age_band", "month")
"""What cases are told apart by; the month is that of the signature, in UTC."""
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Measured:
    """A number with its 95 % interval, out of `n` cases; value and bounds None: insufficient data."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def __str__(self) -> str:
        if self.value is None:
            return f"insufficient data (n {self.n})"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}), n {self.n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Whose cases are counted: one finding of one model version, how readers read, and a subgroup (`all` of `all`)."""

    model: str
    version: str
    digest: str
    target: str
    reading: Reading
    fact: str = ALL
    value: str = ALL

    @property
    def overall(self) -> bool:
        """Whether it is of all cases."""
        return self.fact == ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """One row of the accuracy tables. `positives`: cases in which the reader sees the finding."""

    group: Group
    cases: int
    patients: int
    positives: int
    sensitivity: Measured
    specificity: Measured
    ppv: Measured
    npv: Measured
    auc: Measured
    agreement: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """How many answers a reader's word stands beside, by what the model called, and what that leaves open.

    `sensitivity` and `specificity` are those of Begg and Greenes 1983 (Biometrics 39:207): each case counts for as many
    answers of the same call as have no word. They hold where, given the model's call, chance alone decided who was
    judged.
    """

    group: Group
    called: int
    called_judged: int
    silent: int
    silent_judged: int
    sensitivity: Measured
    specificity: Measured


@dataclass(frozen=True, slots=True)
class Table:
    """Cases as columns (N,): what the reader says, what the model called how probable it was, and whose it is."""

    truth: Bools
    called: Bools
    probability: Floats
    patient: npt.NDArray[np.str_]
    agreed: Bools

    @property
    def clustered(self) -> bool:
        """Whether some patient has several."""
        return len(np.unique(self.patient)) < len(self.patient)


def accuracies(gathered: Gathered) -> tuple[Accuracy, ...]:
    """A row for every finding, reading and known subgroup; the first of each finding and reading is of all cases."""
    return tuple(row for group, cases in _groups(gathered) for row in _rows(group, cases))


def verifications(gathered: Gathered) -> tuple[Verified, ...]:
    """How much of what each model said was judged at all, by finding and reading."""
    return tuple(_verified(group, cases) for group, cases in _groups(gathered))


def roc_points(cases: Iterable[Case], reading: Reading) -> Floats | None:
    """The ROC (M, 2) as 1 - specificity and sensitivity; None with fewer than LEAST of either kind."""
    table = table_of(cases, reading)
    if min(int(table.truth.sum()), int((~table.truth).sum())) < LEAST:
        return None
    return roc_of(table.truth, table.probability)


def table_of(cases: Iterable[Case], reading: Reading) -> Table:
    """The cases on which there is a word."""
    judged = [(case, value) for case in cases if (value := case.value(reading)) is not None]
    return Table(
        truth=np.array([value == 1 for _, value in judged], np.bool_),
        called=np.array([case.finding.positive for case, _ in judged], np.bool_),
        probability=np.array([case.finding.probability for case, _ in judged], np.float64),
        patient=np.array([case.answer.signed.patient for case, _ in judged], np.str_),
        agreed=np.array([not overridden(case, reading) for case, _ in judged], np.bool_),
    )


def of_group(gathered: Gathered, group: Group) -> tuple[Case, ...]:
    """The cases of a finding of a model version, whatever readers said."""
    return tuple(
        case
        for case in gathered.cases
        if (case.model.digest, case.finding.target) == (group.digest, group.target)
        and (group.overall or fact_of(case, group.fact) == group.value)
    )


def fact_of(case: Case, fact: str) -> str:
    """What is known of a case by one of FACTS; '' where nothing is."""
    return f"{case.answer.signed.signed_at:%Y-%m}" if fact == "month" else str(getattr(case.facts, fact))


def measured(hits: Bools, among: Bools, table: Table, weights: Floats | None = None) -> Measured:
    """The share of `among` (N,) that are `hits` (N,), with its interval."""
    n = int(among.sum())
    if n < LEAST:
        return Measured(None, None, None, n)
    each = np.ones(len(among)) if weights is None else weights
    found = share(hits[among], each[among], SIDE)
    return _number(_wider(found, share_of(hits, among), table, each), n)


def _groups(gathered: Gathered) -> Iterator[tuple[Group, tuple[Case, ...]]]:
    for model in gathered.versions:
        targets = dict.fromkeys(case.finding.target for case in gathered.cases if case.model.digest == model.digest)
        for target in targets:
            for reading in Reading:
                group = Group(
                    model=model.name, version=model.version, digest=model.digest, target=target, reading=reading
                )
                yield group, of_group(gathered, group)


def _rows(group: Group, cases: Sequence[Case]) -> Iterator[Accuracy]:
    yield _accuracy(group, cases)
    for fact in FACTS:
        values = {fact_of(case, fact) for case in cases if case.value(group.reading) is not None} - {""}
        for value in sorted(values):
            part = replace(group, fact=fact, value=value)
            yield _accuracy(part, [case for case in cases if fact_of(case, fact) == value])


def _accuracy(group: Group, cases: Sequence[Case]) -> Accuracy:
    table = table_of(cases, group.reading)
    truth, called = table.truth, table.called
    return Accuracy(
        group=group,
        cases=len(truth),
        patients=len(np.unique(table.patient)),
        positives=int(truth.sum()),
        sensitivity=measured(called, truth, table),
        specificity=measured(~called, ~truth, table),
        ppv=measured(truth, called, table),
        npv=measured(~truth, ~called, table),
        auc=_area(table),
        agreement=measured(table.agreed, np.ones(len(truth), np.bool_), table),
    )


def _area(table: Table) -> Measured:
    fewer = min(int(table.truth.sum()), int((~table.truth).sum()))
    area = area_of(table.truth, table.probability) if fewer >= LEAST else None
    if area is None:
        return Measured(None, None, None, fewer)
    found = Estimate(area.value, area.low, area.high, SIDE)
    weights = np.ones(len(table.truth))
    return _number(_wider(found, auc_of(table.truth, table.probability), table, weights), len(table.truth))


def _verified(group: Group, cases: Sequence[Case]) -> Verified:
    table = table_of(cases, group.reading)
    called = sum(case.finding.positive for case in cases)
    judged = int(table.called.sum())
    silent, silent_judged = len(cases) - called, len(table.called) - judged
    weights = np.where(table.called, called / max(1, judged), silent / max(1, silent_judged))
    lost = (called and not judged) or (silent and not silent_judged)
    none = Measured(None, None, None, 0)
    return Verified(
        group=group,
        called=called,
        called_judged=judged,
        silent=silent,
        silent_judged=silent_judged,
        sensitivity=none if lost else measured(table.called, table.truth, table, weights),
        specificity=none if lost else measured(~table.called, ~table.truth, table, weights),
    )


def _wider(found: Estimate, measure: Measure, table: Table, weights: Floats) -> Estimate:
    if not table.clustered:
        return found
    drawn = estimate(measure, Sample(table.patient, weights), SIDE, DRAWS, SEED)
    return found.wider(drawn) if np.isfinite([drawn.low, drawn.high]).all() else found


def _number(found: Estimate, n: int) -> Measured:
    return Measured(found.value, found.low, found.high, n)
