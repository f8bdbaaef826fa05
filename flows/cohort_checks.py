"""The suite `labels`: what a cohort has to be before a model is trained on it, kept like every other outcome.

Integrity, balance and leakage refuse; that live traffic has left what the cohort covers is said, and refuses nothing:
to learn the new ground may be the very reason to train.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flows.baselines import columns_of
from flows.house import House
from radloop import audit
from radloop.domain.enums import Split
from radloop.domain.errors import Rejected
from radloop.domain.ids import utc_now
from radloop.domain.learning import Cohort, CohortMember
from radloop.domain.records import AuditEvent
from radloop.ledger import checks as check_rows
from radloop.ledger import copies as copy_rows
from radloop.ledger import models as model_rows
from radloop.ledger import windows
from radloop.ledger.checks import CheckOutcome
from radloop.ledger.windows import Span

SUITE: Final = "labels"
PASS, FAIL, INSUFFICIENT = "pass", "fail", "insufficient data"
LEAST_SHARE: Final = 0.02
"""Of the rarer label among what is learned from."""
LIVE: Final = timedelta(days=30)
LEAST_LIVE: Final = 50
MOST_OUTSIDE: Final = 0.05
"""Share of live traffic on scanners that the cohort has never seen."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one check came to: how many rows it saw, how many spoke against it, and what it promises."""

    check: str
    outcome: str
    rows: int
    unexpected: int
    detail: str

    @property
    def refuses(self) -> bool:
        """Whether nothing may be trained."""
        return self.outcome == FAIL and self.check in REFUSING


def hold(house: House, cohort: Cohort, actor: str) -> tuple[CheckOutcome, ...]:
    """Run the suite and keep what it found.

    Raises:
        Rejected: the cohort must not be learned from; the outcomes are kept, and the refusal is in the audit.
    """
    found = (*(check(cohort) for check in CHECKS), _integrity(house, cohort), _envelope(house, cohort))
    now = utc_now()
    outcomes = tuple(
        CheckOutcome(
            suite=SUITE,
            check=f"{cohort.model}.{one.check}",
            outcome=one.outcome,
            rows=one.rows,
            unexpected=one.unexpected,
            detail=one.detail,
            window_start=cohort.at,
            window_end=now,
        )
        for one in found
    )
    refused = [f"{one.check}: {one.detail}" for one in found if one.refuses]
    with house.ledger.write() as conn:
        check_rows.add(conn, outcomes)
        if refused:
            audit.append(conn, _event(actor, cohort, "; ".join(refused)))
    if refused:
        raise Rejected(f"cohort {cohort.id} cannot be learned from: {'; '.join(refused)}")
    return outcomes


def balance(cohort: Cohort) -> Found:
    """The rarer label has its share of what is learned from."""
    learned = [member.label.value for member in cohort.members if member.split is not Split.TEST]
    positive = sum(learned)
    rarer = min(positive, len(learned) - positive)
    held = bool(learned) and rarer >= LEAST_SHARE * len(learned)
    detail = f"{positive} with and {len(learned) - positive} without the finding, {LEAST_SHARE:.0%} are needed of each"
    return Found("balance", PASS if held else FAIL, len(learned), 0 if held else len(learned) - rarer, detail)


def leakage(cohort: Cohort) -> Found:
    """No patient, no picture and no file is in two splits."""
    apart = {
        what: sum(len(splits) > 1 for splits in _splits(cohort.members, key).values()) for what, key in KEYS.items()
    }
    told = ", ".join(f"{count} {what}" for what, count in apart.items())
    leaked = sum(apart.values())
    return Found("leakage", FAIL if leaked else PASS, len(cohort.members), leaked, f"in two splits: {told}")


def _integrity(house: House, cohort: Cohort) -> Found:
    """Every image that is still there has the pixels that were frozen; one that is gone ends the training by itself."""
    with house.ledger.read() as conn:
        there = copy_rows.known(conn, cohort.model, [member.content_sha256 for member in cohort.members])
    copies = ((member, there.get(member.content_sha256)) for member in cohort.members)
    others = sum(copy is not None and copy.pixel_sha256 != member.pixel_sha256 for member, copy in copies)
    detail = f"{others} images are other ones than were frozen"
    return Found("integrity", FAIL if others else PASS, len(cohort.members), others, detail)


def _envelope(house: House, cohort: Cohort) -> Found:
    """The scanners of live traffic are in the cohort."""
    now = utc_now()
    with house.ledger.read() as conn:
        champion = model_rows.champion(conn, cohort.model)
        digest = champion.digest if champion else ""
        live = columns_of(windows.of_span(conn, cohort.model, digest, Span(now - LIVE, now)))
    if len(live) < LEAST_LIVE:
        detail = f"{len(live)} acquisitions in {LIVE.days} days, at least {LEAST_LIVE} are needed"
        return Found("envelope", INSUFFICIENT, len(live), 0, detail)
    names = zip(live.categorical["manufacturer"].tolist(), live.categorical["model_name"].tolist(), strict=True)
    counted = Counter(" ".join(word for word in pair if word) for pair in names)
    known = {member.facts.scanner for member in cohort.members}
    outside = sum(count for scanner, count in counted.items() if scanner not in known)
    outcome = FAIL if outside > MOST_OUTSIDE * len(live) else PASS
    return Found(
        "envelope", outcome, len(live), outside, f"{outside} of them on scanners that the cohort has never seen"
    )


def _splits(members: Iterable[CohortMember], key: Callable[[CohortMember], str]) -> Mapping[str, set[Split]]:
    found: dict[str, set[Split]] = defaultdict(set)
    for member in members:
        found[key(member)].add(member.split)
    return found


def _event(actor: str, cohort: Cohort, why: str) -> AuditEvent:
    return AuditEvent(
        at=utc_now(), actor=actor, action="training.deny", object_kind="cohort", object_id=cohort.id, detail=why
    )


KEYS: Final[Mapping[str, Callable[[CohortMember], str]]] = {
    "patients": lambda member: member.patient,
    "pictures": lambda member: member.pixel_sha256,
    "files": lambda member: member.content_sha256,
}
CHECKS: Final = (balance, leakage)
REFUSING: Final = frozenset(("integrity", "balance", "leakage"))
