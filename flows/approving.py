"""Who may approve what: the rules as a table, each with the sentence that refuses.

Two kinds: PROMOTE (SHADOW -> CHAMPION) and QUALIFY (RESEARCH -> PRODUCT). The plan of the model says how many people.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from models.change_plan import ChangePlan, read_plan
from radloop.domain.enums import ActorKind, ApprovalKind, GateOutcome, Qualification, Standing
from radloop.domain.errors import NotFound, Rejected, Unparsable
from radloop.domain.records import Actor, ModelVersion
from radloop.ledger import actors as actor_rows
from radloop.ledger import alarms as alarm_rows
from radloop.ledger import approvals as approval_rows
from radloop.ledger import comparisons
from radloop.ledger import models as model_rows
from radloop.ledger import standing as standing_rows
from radloop.ledger.approvals import Examined


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that the rules look at. `approver` None: nobody new, the approvals on record alone.

    `champion` is the digest of the champion of now; `given` are the approvers whose word still holds; `compared` counts
    the studies that the version answered silently beside the champion, `least_compared` and `people` are what the plan
    asks for; `alarms` are open on the model.
    """

    version: ModelVersion
    kind: ApprovalKind
    approver: str | None
    person: Actor | None
    champion: str | None
    examined: Examined | None
    trainers: frozenset[str]
    given: tuple[str, ...]
    compared: int
    least_compared: int
    people: int
    alarms: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """The version as a sentence names it."""
        return f"{self.version.name} {self.version.version}"


@dataclass(frozen=True, slots=True)
class Decision:
    """A yes that holds: everyone who said it, the newest last, and whether that is enough."""

    approvers: tuple[str, ...]
    enough: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition of an approval, for which kinds it holds, and what is said where it is broken."""

    kinds: frozenset[ApprovalKind]
    broken: Callable[[Case], bool]
    words: Callable[[Case], str]


BOTH: Final = frozenset(ApprovalKind)
PROMOTE: Final = frozenset((ApprovalKind.PROMOTE,))
QUALIFY: Final = frozenset((ApprovalKind.QUALIFY,))


def _not_a_person(case: Case) -> bool:
    return case.approver is not None and (case.person is None or case.person.kind is not ActorKind.PERSON)


def _trained_it(case: Case) -> bool:
    return case.approver is not None and case.approver in case.trainers


def _has_approved(case: Case) -> bool:
    return case.approver is not None and case.approver in case.given


def _stands_elsewhere(case: Case) -> bool:
    """The first champion of a model needs no shadow: there is nobody to stand behind."""
    return case.version.standing is not Standing.SHADOW and not (
        case.champion is None and case.version.standing is Standing.CHALLENGER
    )


def _not_passed(case: Case) -> bool:
    return case.examined is None or case.examined.outcome is not GateOutcome.PASS


def _passed_against_another(case: Case) -> bool:
    return case.examined is not None and case.examined.champion != case.champion


def _too_few_compared(case: Case) -> bool:
    return case.champion is not None and case.compared < case.least_compared


def _alarmed(case: Case) -> bool:
    return bool(case.alarms)


def _is_product(case: Case) -> bool:
    return case.version.qualification is Qualification.PRODUCT


def _no_pass_words(case: Case) -> str:
    if case.examined is None:
        return f"{case.called} was never evaluated: its gates have to pass first"
    return f"the newest evaluation of {case.called} is {case.examined.outcome}: its gates have to pass first"


# The first rule that is broken refuses.
RULES: Final = (
    Rule(BOTH, _not_a_person, lambda case: f"{case.approver} is no person known here: people approve"),
    Rule(BOTH, _trained_it, lambda case: f"{case.approver} trained {case.called}: another person must approve"),
    Rule(
        PROMOTE,
        _stands_elsewhere,
        lambda case: f"{case.called} is {case.version.standing}: it is approved while it stands in the shadow",
    ),
    Rule(QUALIFY, _is_product, lambda case: f"{case.called} is PRODUCT already"),
    Rule(BOTH, _not_passed, _no_pass_words),
    Rule(
        PROMOTE,
        _passed_against_another,
        lambda case: f"{case.called} was evaluated against another champion than the one of now: evaluate it again",
    ),
    Rule(
        PROMOTE,
        _too_few_compared,
        lambda case: (
            f"{case.called} was compared with the champion on {case.compared} studies, not on {case.least_compared}"
        ),
    ),
    Rule(
        PROMOTE,
        _alarmed,
        lambda case: f"{case.called} waits: open alarms {', '.join(case.alarms)} have to be decided on first",
    ),
    Rule(BOTH, _has_approved, lambda case: f"{case.approver} has approved {case.called} already: another person must"),
)


def gather(conn: Connection, digest: str, approver: str | None, kind: ApprovalKind) -> Case:
    """What the ledger and the plan say, for `decide`.

    Raises:
        NotFound: no version has this digest.
        Rejected: the model has no change plan that says who approves.
    """
    version = model_rows.get(conn, digest)
    if version is None:
        raise NotFound("no model version has this digest")
    plan = _plan(version.name)
    champion = model_rows.champion(conn, version.name)
    given = approval_rows.of_digest(conn, digest, kind, _counted_since(conn, version, champion, kind))
    return Case(
        version=version,
        kind=kind,
        approver=approver,
        person=actor_rows.by_name(conn, approver) if approver else None,
        champion=champion.digest if champion else None,
        examined=approval_rows.examined(conn, digest),
        trainers=approval_rows.trainers(conn, digest),
        given=tuple(one.actor for one in given),
        compared=comparisons.count(conn, digest),
        least_compared=plan.approval.compared,
        people=_people(plan, kind, first=champion is None),
        alarms=tuple(alarm.id for alarm in alarm_rows.blocking(conn, version.name)),
    )


def decide(case: Case) -> Decision:
    """Whether this person may say yes, and whether that is enough.

    Raises:
        Rejected: the first rule that is broken, in its words.
    """
    for rule in RULES:
        if case.kind in rule.kinds and rule.broken(case):
            raise Rejected(rule.words(case))
    approvers = (*case.given, *((case.approver,) if case.approver else ()))
    return Decision(approvers, len(approvers) >= case.people)


def _counted_since(
    conn: Connection, version: ModelVersion, champion: ModelVersion | None, kind: ApprovalKind
) -> datetime | None:
    """A yes to promotion holds for the standing in which it was given, and against the champion of that day."""
    if kind is not ApprovalKind.PROMOTE:
        return None
    steps = [standing_rows.latest(conn, one.digest) for one in (version, champion) if one]
    return max((step.at for step in steps if step), default=None)


def _people(plan: ChangePlan, kind: ApprovalKind, *, first: bool) -> int:
    if kind is ApprovalKind.QUALIFY:
        return plan.qualification.people
    return plan.bootstrap.people if first else plan.approval.people


def _plan(model: str) -> ChangePlan:
    try:
        return read_plan(model)
    except (NotFound, Unparsable) as error:
        raise Rejected(f"nobody can approve a version of {model}: {error}") from None
