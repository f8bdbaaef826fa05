"""What every action of the record means, and which event of PS3.15 A.5 it is: one table for syslog, ATNA and FHIR.

Events are those of PS3.16 CID 400, types those of CID 401, both coded in DCM. `docs/audit-record.md` is this table, and
a test finds every action that the code writes in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Code:
    """A code of DCM (PS3.16 Annex D) and its meaning there."""

    value: str
    meaning: str


ACTIVITY: Final = Code("110100", "Application Activity")
LOG_USED: Final = Code("110101", "Audit Log Used")
ACCESSED: Final = Code("110103", "DICOM Instances Accessed")
TRANSFERRED: Final = Code("110104", "DICOM Instances Transferred")
STUDY_DELETED: Final = Code("110105", "DICOM Study Deleted")
EXPORT: Final = Code("110106", "Export")
IMPORT: Final = Code("110107", "Import")
PATIENT: Final = Code("110110", "Patient Record")
PROCEDURE: Final = Code("110111", "Procedure Record")
QUERY: Final = Code("110112", "Query")
ALERT: Final = Code("110113", "Security Alert")
AUTHENTICATION: Final = Code("110114", "User Authentication")

LOGIN: Final = Code("110122", "Login")
LOGOUT: Final = Code("110123", "Logout")
NODE: Final = Code("110126", "Node Authentication")
EMERGENCY: Final = Code("110127", "Emergency Override Started")
SECURITY: Final = Code("110129", "Security Configuration")
SOFTWARE: Final = Code("110131", "Software Configuration")
RESTRICTED: Final = Code("110132", "Use of Restricted Function")
OBJECT_SECURITY: Final = Code("110135", "Object Security Attributes Changed")
USER_SECURITY: Final = Code("110137", "User security Attributes Changed")


class Done(StrEnum):
    """EventActionCode (PS3.15 A.5.1): what was done to the object."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


class Outcome(StrEnum):
    """EventOutcomeIndicator (PS3.15 A.5.1)."""

    SUCCESS = "0"
    MINOR = "4"
    SERIOUS = "8"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an action means. `type` is the event's type by DICOM, where there is one beside our own name for it."""

    words: str
    event: Code
    done: Done
    type: Code | None = None
    outcome: Outcome = Outcome.SUCCESS


C, R, U, D, E = Done.CREATE, Done.READ, Done.UPDATE, Done.DELETE, Done.EXECUTE
NO: Final = Outcome.MINOR
FAILED: Final = Outcome.SERIOUS

_PEOPLE: Final = {
    "login": Meaning("somebody came in", AUTHENTICATION, E, LOGIN),
    "login.fail": Meaning("somebody was not let in", AUTHENTICATION, E, LOGIN, NO),
    "logout": Meaning("somebody left", AUTHENTICATION, E, LOGOUT),
    "logout.everywhere": Meaning("all sessions of an actor ended", AUTHENTICATION, E, LOGOUT),
    "session.end": Meaning("a session was ended by its limits or by another", AUTHENTICATION, E, LOGOUT),
    "break-glass": Meaning("the emergency account was used", ALERT, E, EMERGENCY),
    "break-glass.*": Meaning("the emergency account's password was set or taken away", ALERT, E, USER_SECURITY),
    "deny": Meaning("what the roles do not permit was asked for", ALERT, E, RESTRICTED, NO),
    "actor.add": Meaning("an actor was made known", ALERT, E, USER_SECURITY),
    "actor.token": Meaning("an actor got a new token, and the old one ended", ALERT, E, USER_SECURITY),
    "actor.deny": Meaning("a command came from nobody who is known", ALERT, E, RESTRICTED, NO),
    "actor.*": Meaning("what an actor is or may do was changed", ALERT, E, USER_SECURITY),
    "token.*": Meaning("a token was issued, or ended", ALERT, E, USER_SECURITY),
    "link.refuse": Meaning("a link into the console was not one of ours, or too old", ALERT, E, RESTRICTED, NO),
    "link.*": Meaning("a link into the console was signed, or the key for it made", ALERT, E, SECURITY),
    "certs.*": Meaning("a certificate was issued", ALERT, E, SECURITY),
    "keys.*": Meaning("the keys were changed", ALERT, E, SECURITY),
    "dicom.deny": Meaning("a DICOM peer was turned away", ALERT, E, NODE, NO),
    "hl7.deny": Meaning("an HL7 peer was turned away", ALERT, E, NODE, NO),
}
_VIEWS: Final = {
    "view.worklist": Meaning("somebody saw the worklist", QUERY, E),
    "view.study": Meaning("somebody opened a study", ACCESSED, R),
    "view.image": Meaning("somebody saw an image", ACCESSED, R),
    "view.result": Meaning("somebody saw a result", ACCESSED, R),
    "view.report": Meaning("somebody opened an audit report", PROCEDURE, R),
    "view.audit": Meaning("somebody looked into this record", LOG_USED, R),
    "view.*": Meaning("somebody saw a page with data of patients", ACCESSED, R),
    "ai.shown": Meaning("a blinded reader was shown what the model says", ACCESSED, R),
    "search": Meaning("somebody searched", QUERY, E),
    "export": Meaning("something was taken out", EXPORT, R),
    "audit.export": Meaning("this record was taken out", LOG_USED, R),
    "deidentify": Meaning("a set without identities was made", EXPORT, R),
    "upload": Meaning("somebody handed in images", IMPORT, C),
    "upload.read": Meaning("images that were handed in were read", ACCESSED, R),
    "upload.delete": Meaning("images that were handed in were deleted", STUDY_DELETED, D),
    "upload.*": Meaning("something was done to images that were handed in", ACCESSED, U),
}
_STUDIES: Final = {
    "ingest": Meaning("images were fetched or imported", IMPORT, C),
    "ingest.folder": Meaning("an import of a folder was asked for", IMPORT, C),
    "ingest.peer": Meaning("a fetch from a peer was asked for", IMPORT, C),
    "result": Meaning("a model answered", ACCESSED, C),
    "answer": Meaning("a study was answered", ACCESSED, U),
    "delivered": Meaning("a peer took an object", TRANSFERRED, R),
    "committed": Meaning("a peer committed to keep an object", TRANSFERRED, R),
    "not committed": Meaning("a peer did not commit to keep an object", TRANSFERRED, R, None, NO),
    "parked": Meaning("a delivery waits for a person", TRANSFERRED, R, None, FAILED),
    "delivery.resend": Meaning("a person had an object sent again", TRANSFERRED, R),
    "delivery.drop": Meaning("a person gave a delivery up", TRANSFERRED, R, None, NO),
    "quarantine": Meaning("an object of ours broke its own contract and was not sent", ACCESSED, C, None, FAILED),
    "quarantine.add": Meaning("bad input was set aside", IMPORT, C, None, NO),
    "reading.draft": Meaning("a draft of a reading came in and was not used", PROCEDURE, R),
    "reading.time": Meaning("a reading's time came in", PROCEDURE, U),
    "reading.unmatched": Meaning("a reading fits no study that is known", PROCEDURE, R, None, NO),
    "report.ignored": Meaning("a report was not used", PROCEDURE, R),
    "report.after-sign-off": Meaning("a report came after the sign-off", PROCEDURE, R),
    "verdict": Meaning("a reader judged a finding", PROCEDURE, U),
    "vote": Meaning("a reader said whether a result was useful", PROCEDURE, U),
    "sign-off": Meaning("a reader signed", PROCEDURE, U),
    "forget": Meaning("stored bytes were deleted by the retention policy", STUDY_DELETED, D),
    "retain.*": Meaning("the retention policy was looked at or applied", ACTIVITY, E),
    "hold": Meaning("a legal hold was set", ALERT, E, OBJECT_SECURITY),
    "unhold": Meaning("a legal hold was lifted", ALERT, E, OBJECT_SECURITY),
}
_LEARNING: Final = {
    "consent.give": Meaning("a patient's images may train models", PATIENT, U),
    "consent.withdraw": Meaning("a patient's images may no longer train models", PATIENT, U),
    "copies.add": Meaning("copies for training were made", ACCESSED, C),
    "copies.delete": Meaning("copies for training were deleted", ACCESSED, D),
    "cohort.freeze": Meaning("a cohort was frozen", ACCESSED, R),
    "cohort.import": Meaning("labelled images were imported", IMPORT, C),
    "training.begin": Meaning("a training began", ACTIVITY, E),
    "training.resume": Meaning("a training went on", ACTIVITY, E),
    "training.finish": Meaning("a training ended", ACTIVITY, E),
    "training.fail": Meaning("a training failed", ACTIVITY, E, None, FAILED),
    "training.deny": Meaning("a training was refused", ACTIVITY, E, None, NO),
    "approval": Meaning("a person approved", ALERT, E, SOFTWARE),
    "approval.promote.deny": Meaning("an approval of a promotion was refused", ALERT, E, RESTRICTED, NO),
    "approval.qualify.deny": Meaning("an approval of a qualification was refused", ALERT, E, RESTRICTED, NO),
    "model.register": Meaning("a model version became known", ALERT, E, SOFTWARE),
    "model.shadow": Meaning("a model version went into the shadow", ALERT, E, SOFTWARE),
    "model.leave_shadow": Meaning("a model version left the shadow", ALERT, E, SOFTWARE),
    "model.promote": Meaning("a model version became champion", ALERT, E, SOFTWARE),
    "model.step_down": Meaning("a champion gave its place", ALERT, E, SOFTWARE),
    "model.retire": Meaning("a former champion was retired", ALERT, E, SOFTWARE),
    "model.restore": Meaning("a former champion came back", ALERT, E, SOFTWARE),
    "model.roll_back": Meaning("a champion was taken back", ALERT, E, SOFTWARE),
    "model.qualify": Meaning("a model version's qualification changed", ALERT, E, SOFTWARE),
    "model.evaluate": Meaning("a model version was measured", ACTIVITY, E),
    "model.look": Meaning("a look at the compared studies was spent", ACTIVITY, E),
    "model.replay": Meaning("a stored study was read again for comparison", ACCESSED, R),
    "model.register.deny": Meaning("a model version was refused", ALERT, E, RESTRICTED, NO),
    "model.shadow.deny": Meaning("the shadow was refused to a model version", ALERT, E, RESTRICTED, NO),
    "model.evaluate.deny": Meaning("a measurement was refused", ALERT, E, RESTRICTED, NO),
    "model.promote.deny": Meaning("a promotion was refused", ALERT, E, RESTRICTED, NO),
    "model.rollback.deny": Meaning("a rollback was refused", ALERT, E, RESTRICTED, NO),
    "stop_rule.no_previous": Meaning("a stop rule fired with nothing to go back to", ACTIVITY, E, None, FAILED),
    "replay": Meaning("a result was made again to be compared", ACCESSED, R),
}
_HOUSE: Final = {
    "watch": Meaning("the data checks ran", ACTIVITY, E),
    "alarm.open": Meaning("a drift alarm opened", ACTIVITY, C),
    "alarm.*": Meaning("a person decided on a drift alarm", ACTIVITY, U),
    "baseline.propose": Meaning("a baseline was proposed", ACTIVITY, C),
    "baseline.approve": Meaning("a baseline was approved", ALERT, E, SOFTWARE),
    "baseline.approve.deny": Meaning("an approval of a baseline was refused", ALERT, E, RESTRICTED, NO),
    "scanner.shadow": Meaning("a scanner's answers are no longer shown", ALERT, E, SOFTWARE),
    "scanner.unshadow": Meaning("a scanner's answers are shown again", ALERT, E, SOFTWARE),
    "notice.send": Meaning("somebody was told of an alarm", ACTIVITY, E),
    "notice.drop": Meaning("nobody could be told of an alarm", ACTIVITY, E, None, FAILED),
    "report.make": Meaning("an audit report was made", ACTIVITY, C),
    "report.export": Meaning("figures of a period were taken out", EXPORT, R),
    "report.readers": Meaning("somebody saw a reader's own page", PROCEDURE, R),
    "report.readers.deny": Meaning("another reader's page was refused", ALERT, E, RESTRICTED, NO),
    "schedule.*": Meaning("a schedule was made, changed, paused, resumed or run", ALERT, E, SOFTWARE),
    "golive": Meaning("a step of the staged go-live was taken", ALERT, E, SOFTWARE),
    "golive.*": Meaning("a step of the staged go-live was taken", ALERT, E, SOFTWARE),
    "peer.*": Meaning("a peer was tested, or a person decided about it", ACTIVITY, E),
    "backup": Meaning("a backup was made", EXPORT, R),
    "restore": Meaning("a backup was put back", IMPORT, C),
}
MEANINGS: Final[Mapping[str, Meaning]] = MappingProxyType({**_PEOPLE, **_VIEWS, **_STUDIES, **_LEARNING, **_HOUSE})
"""By action. One that ends with a full stop and a star stands for all that begin so and have no row of their own."""
UNKNOWN: Final = Meaning("an action that this version does not know", ACTIVITY, E)


def known(action: str) -> Meaning | None:
    """The row of an action, or of its family."""
    return MEANINGS.get(action) or MEANINGS.get(f"{action.partition('.')[0]}.*")


def meaning(action: str) -> Meaning:
    """As `known`; a record that another version wrote has a meaning too."""
    return known(action) or UNKNOWN


def table() -> str:
    """The table of `docs/audit-record.md` (Markdown)."""
    lines = ["| action | what it means | event (DCM) | type (DCM) | code | outcome |", "|---|---|---|---|---|---|"]
    for action, row in MEANINGS.items():
        kind = f"{row.type.value} {row.type.meaning}" if row.type else ""
        event = f"{row.event.value} {row.event.meaning}"
        lines.append(f"| `{action}` | {row.words} | {event} | {kind} | {row.done} | {row.outcome} |")
    return "\n".join(lines)
