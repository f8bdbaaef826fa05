"""What a sender is told: C-STORE and N-EVENT-REPORT statuses, association rejections. Data, not branches."""

from dataclasses import dataclass

from radloop.domain.errors import (
    DuplicateConflict,
    MismatchedIdentity,
    NotFound,
    RadloopError,
    StorageFull,
    TooLarge,
    Unavailable,
    Unparsable,
)


@dataclass(frozen=True, slots=True)
class Status:
    """One status that we send, and when."""

    code: int
    words: str
    when: str


# PS3.4 Table B.2-1: A7xx "Refused: Out of Resources", A9xx "Error: Data Set does not match SOP Class",
# Cxxx "Error: Cannot understand", 0000 "Success". The last two digits are ours.
SUCCESS = Status(0x0000, "success", "durable and on record, the same bytes as before, or an object of our own")
OUT_OF_RESOURCES = Status(0xA700, "out of resources", "no space, an I/O error, or the ledger is locked or away")
OVERSIZE = Status(0xA701, "out of resources", "larger than the largest instance that is taken")
MISMATCH = Status(0xA900, "data set does not match SOP class", "SOP Class or Instance UID contradicts the request")
CONFLICT = Status(0xA901, "data set does not match SOP class", "the SOP Instance UID is held with other bytes")
NOT_UNDERSTOOD = Status(0xC000, "cannot understand", "the data set cannot be parsed, or was cut")
NOT_ACCEPTED = Status(0xC001, "cannot understand", "the data set could not be put on record")
STORE_STATUSES = (
    SUCCESS,
    OUT_OF_RESOURCES,
    OVERSIZE,
    MISMATCH,
    CONFLICT,
    NOT_UNDERSTOOD,
    NOT_ACCEPTED,
)

# PS3.7 section 10.1.1.1.8 and Annex C; PS3.4 J.3.3 has none of its own.
TAKEN = Status(0x0000, "success", "what it says is on record, or was before")
FAILED = Status(0x0110, "processing failure", "the ledger is locked, full or away: report it again")
NO_SUCH_INSTANCE = Status(0x0112, "no such SOP instance", "not about the well-known SOP instance of PS3.4 J.3.5")
NO_SUCH_EVENT = Status(0x0113, "no such event type", "an event type other than 1 and 2")
UNKNOWN_TRANSACTION = Status(0x0115, "invalid argument value", "no such transaction, or not with this peer")
NO_SUCH_CLASS = Status(0x0118, "no such SOP class", "not about the Storage Commitment Push Model SOP class")
MISTYPED = Status(0x0212, "mistyped argument", "the event information cannot be parsed")
TOO_LONG = Status(0x0213, "resource limitation", "the event information is larger than what is taken")
EVENT_STATUSES = (
    TAKEN,
    FAILED,
    NO_SUCH_INSTANCE,
    NO_SUCH_EVENT,
    UNKNOWN_TRANSACTION,
    NO_SUCH_CLASS,
    MISTYPED,
    TOO_LONG,
)

_BY_ERROR: dict[type[RadloopError], Status] = {
    StorageFull: OUT_OF_RESOURCES,
    Unavailable: OUT_OF_RESOURCES,
    TooLarge: OVERSIZE,
    MismatchedIdentity: MISMATCH,
    DuplicateConflict: CONFLICT,
    Unparsable: NOT_UNDERSTOOD,
}


_EVENT_BY_ERROR: dict[type[RadloopError], Status] = {
    Unparsable: MISTYPED,
    TooLarge: TOO_LONG,
    NotFound: UNKNOWN_TRANSACTION,
}


def of_error(error: RadloopError) -> Status:
    """The C-STORE status that says what went wrong."""
    return next((_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _BY_ERROR), NOT_ACCEPTED)


def of_event_error(error: RadloopError) -> Status:
    """The N-EVENT-REPORT status that says what went wrong."""
    return next((_EVENT_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _EVENT_BY_ERROR), FAILED)


@dataclass(frozen=True, slots=True)
class Rejection:
    """One A-ASSOCIATE-RJ that we send."""

    result: int
    source: int
    reason: int
    code: str
    when: str


# PS3.8 Table 9-21: result 1 permanent, 2 transient; source 1 the user, 2 ACSE, 3 presentation.
CALLED_UNKNOWN = Rejection(1, 1, 7, "called-ae-title", "the called AE title is not ours")
CALLING_UNKNOWN = Rejection(1, 1, 3, "calling-ae-title", "no peer has this calling AE title and address")
CERTIFICATE = Rejection(1, 1, 3, "certificate", "the certificate that was shown is not that peer's")
LIMIT = Rejection(2, 3, 2, "local-limit", "as many associations as may be are open")
VERSION = Rejection(1, 2, 2, "protocol-version", "the protocol version is not 1")
REJECTIONS = (CALLED_UNKNOWN, CALLING_UNKNOWN, CERTIFICATE, LIMIT, VERSION)
