"""What a sender is told: C-STORE statuses and association rejections. Data, not branches."""

from dataclasses import dataclass

from radloop.domain.errors import (
    DuplicateConflict,
    MismatchedIdentity,
    RadloopError,
    StorageFull,
    TooLarge,
    Unavailable,
    Unparsable,
)


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """One C-STORE status that we send, and when."""

    code: int
    words: str
    when: str


# PS3.4 Table B.2-1: A7xx "Refused: Out of Resources", A9xx "Error: Data Set does not match SOP Class",
# Cxxx "Error: Cannot understand", 0000 "Success". The last two digits are ours.
SUCCESS = StoreStatus(0x0000, "success", "durable and on record, the same bytes as before, or an object of our own")
OUT_OF_RESOURCES = StoreStatus(0xA700, "out of resources", "no space, an I/O error, or the ledger is locked or away")
OVERSIZE = StoreStatus(0xA701, "out of resources", "larger than the largest instance that is taken")
MISMATCH = StoreStatus(0xA900, "data set does not match SOP class", "SOP Class or Instance UID contradicts the request")
CONFLICT = StoreStatus(0xA901, "data set does not match SOP class", "the SOP Instance UID is held with other bytes")
NOT_UNDERSTOOD = StoreStatus(0xC000, "cannot understand", "the data set cannot be parsed, or was cut")
NOT_ACCEPTED = StoreStatus(0xC001, "cannot understand", "the data set could not be put on record")
STORE_STATUSES = (
    SUCCESS,
    OUT_OF_RESOURCES,
    OVERSIZE,
    MISMATCH,
    CONFLICT,
    NOT_UNDERSTOOD,
    NOT_ACCEPTED,
)

_BY_ERROR: dict[type[RadloopError], StoreStatus] = {
    StorageFull: OUT_OF_RESOURCES,
    Unavailable: OUT_OF_RESOURCES,
    TooLarge: OVERSIZE,
    MismatchedIdentity: MISMATCH,
    DuplicateConflict: CONFLICT,
    Unparsable: NOT_UNDERSTOOD,
}


def of_error(error: RadloopError) -> StoreStatus:
    """The status that says what went wrong."""
    return next((_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _BY_ERROR), NOT_ACCEPTED)


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
LIMIT = Rejection(2, 3, 2, "local-limit", "as many associations as may be are open")
VERSION = Rejection(1, 2, 2, "protocol-version", "the protocol version is not 1")
REJECTIONS = (CALLED_UNKNOWN, CALLING_UNKNOWN, LIMIT, VERSION)
