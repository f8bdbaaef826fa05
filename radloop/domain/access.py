"""Who may do what: one table of roles and permissions. What it does not grant is refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from radloop.domain.records import Actor


class Role(StrEnum):
    """What a person is to the site. Groups of the directory give roles; a person may have several."""

    READER = "READER"
    """Reads studies, says what the model got right, signs off."""
    LEAD_READER = "LEAD_READER"
    """A reader who also sees the override patterns of the others."""
    IT = "IT"
    """Keeps queues, peers, schedules and retention running."""
    ML = "ML"
    """Builds cohorts, trains, evaluates, decides on drift."""
    APPROVER = "APPROVER"
    """One of the people without whom no version answers."""
    GOVERNANCE = "GOVERNANCE"
    """Follows any answer back; changes nothing that a patient's answer depends on."""
    ADMIN = "ADMIN"
    """Gives and takes access. No clinical permission comes with it."""


class Permission(StrEnum):
    """One thing that may be done. Every path of the console asks for exactly one of them."""

    VIEW_STUDIES = "VIEW_STUDIES"
    """Worklist, studies, images, results."""
    READ = "READ"
    """Enter verdicts, sign off, vote on usefulness."""
    UPLOAD = "UPLOAD"
    """Hand in images by hand and see their report."""
    VIEW_OPERATIONS = "VIEW_OPERATIONS"
    """Queues, peers, quarantine, schedules, storage, health."""
    OPERATE = "OPERATE"
    """Resend, drop, pause and run schedules, test peers, go live."""
    VIEW_MODELS = "VIEW_MODELS"
    """Versions, standing, gates, cohorts, training runs, cards."""
    TRAIN = "TRAIN"
    """Build cohorts, retrain, evaluate, put a version in the shadow."""
    APPROVE = "APPROVE"
    """Approve a promotion, a baseline, a qualification."""
    ROLL_BACK = "ROLL_BACK"
    """Give a model's place back to the version before."""
    VIEW_DRIFT = "VIEW_DRIFT"
    """Alarms, trends, audit reports."""
    DECIDE_DRIFT = "DECIDE_DRIFT"
    """Acknowledge, extend, shadow a scanner, close."""
    VIEW_PATTERNS = "VIEW_PATTERNS"
    """Override patterns of other readers than oneself."""
    VIEW_LINEAGE = "VIEW_LINEAGE"
    """Explain a result, search the record, backwards and forwards."""
    VIEW_AUDIT = "VIEW_AUDIT"
    """The audit record, and whether it is sound."""
    EXPORT = "EXPORT"
    """Take records out of the system."""
    HOLD = "HOLD"
    """Set and lift legal holds; see what retention would delete."""
    ADMINISTER = "ADMINISTER"
    """Actors, tokens, sessions."""


_SEES_RECORD: Final = (
    Permission.VIEW_STUDIES,
    Permission.VIEW_OPERATIONS,
    Permission.VIEW_MODELS,
    Permission.VIEW_DRIFT,
    Permission.VIEW_LINEAGE,
)
_READS: Final = (
    Permission.VIEW_STUDIES,
    Permission.READ,
    Permission.UPLOAD,
    Permission.VIEW_MODELS,
    Permission.VIEW_LINEAGE,
)
GRANTS: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.READER: frozenset(_READS),
        Role.LEAD_READER: frozenset((*_READS, Permission.VIEW_DRIFT, Permission.VIEW_PATTERNS)),
        Role.IT: frozenset((Permission.VIEW_OPERATIONS, Permission.OPERATE, Permission.VIEW_DRIFT, Permission.UPLOAD)),
        Role.ML: frozenset(
            (
                Permission.VIEW_MODELS,
                Permission.TRAIN,
                Permission.ROLL_BACK,
                Permission.VIEW_DRIFT,
                Permission.DECIDE_DRIFT,
                Permission.VIEW_LINEAGE,
            )
        ),
        Role.APPROVER: frozenset(
            (
                Permission.VIEW_MODELS,
                Permission.APPROVE,
                Permission.ROLL_BACK,
                Permission.VIEW_DRIFT,
                Permission.VIEW_LINEAGE,
            )
        ),
        Role.GOVERNANCE: frozenset(
            (*_SEES_RECORD, Permission.VIEW_PATTERNS, Permission.VIEW_AUDIT, Permission.EXPORT, Permission.HOLD)
        ),
        Role.ADMIN: frozenset((Permission.ADMINISTER, Permission.VIEW_OPERATIONS, Permission.VIEW_AUDIT)),
    }
)


def granted(roles: Iterable[Role]) -> frozenset[Permission]:
    """Everything that any of the roles may do."""
    return frozenset().union(*(GRANTS[role] for role in roles))


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Somebody at the door: an actor and what they may do now.

    Args:
        actor: the person or machine.
        roles: of a person, by the directory or by `radloop actor`; empty for a machine.
        permissions: what the roles grant, or the scopes of a machine's token.
        session: id of the browser's session; None where a token speaks.
        csrf: what must come back in a header of every request of that session that changes something.
        address: where the request came from.
    """

    actor: Actor
    roles: frozenset[Role]
    permissions: frozenset[Permission]
    session: str | None = None
    csrf: str = ""
    address: str = ""

    def may(self, permission: Permission) -> bool:
        """Whether this was granted."""
        return permission in self.permissions


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """Who a provider says somebody is: by its own spelling, with the names of all their groups.

    `provider_session` is the provider's own id of the session (OIDC `sid`), where it has one.
    """

    name: str
    groups: tuple[str, ...]
    provider_session: str | None = None
