"""What a peer's answers mean for us: DIMSE statuses, association rejections, refused contexts. Data, not branches."""

from dataclasses import dataclass
from enum import StrEnum

from radloop.domain.errors import RadloopError, RefusedByPeer, Unavailable
from radloop.domain.records import Accepted


class Meaning(StrEnum):
    """What the sender does next."""

    DONE = "done"
    """Taken."""
    WARNED = "taken with a warning"
    """Taken; the code is kept."""
    AGAIN = "try again later"
    """Nothing is wrong with the object."""
    REFUSED = "refused for good"
    """A person decides."""


@dataclass(frozen=True, slots=True)
class StatusRange:
    """Statuses `low` to `high` inclusive."""

    low: int
    high: int
    meaning: Meaning
    words: str


# PS3.4 Table B.2-1 (0xA7xx, 0xA9xx, 0xBxxx, 0xCxxx); PS3.7 section 9.1.1.1.9 and Annex C (the rest).
STORE_STATUSES = (
    StatusRange(0x0000, 0x0000, Meaning.DONE, "success"),
    StatusRange(0x0001, 0x0001, Meaning.WARNED, "optional attributes not supported"),
    StatusRange(0x0107, 0x0107, Meaning.WARNED, "attribute list error"),
    StatusRange(0x0110, 0x0110, Meaning.AGAIN, "processing failure"),
    # The peer has this SOP Instance UID already: our answer to a lost response is to send the same bytes again.
    StatusRange(0x0111, 0x0111, Meaning.WARNED, "duplicate SOP instance"),
    StatusRange(0x0116, 0x0116, Meaning.WARNED, "attribute value out of range"),
    StatusRange(0x0117, 0x0117, Meaning.REFUSED, "invalid SOP instance"),
    StatusRange(0x0122, 0x0122, Meaning.REFUSED, "SOP class not supported"),
    StatusRange(0x0124, 0x0124, Meaning.REFUSED, "not authorised"),
    StatusRange(0x0210, 0x0210, Meaning.AGAIN, "duplicate invocation"),
    StatusRange(0x0211, 0x0211, Meaning.REFUSED, "unrecognised operation"),
    StatusRange(0x0212, 0x0212, Meaning.REFUSED, "mistyped argument"),
    StatusRange(0x0213, 0x0213, Meaning.AGAIN, "resource limitation"),
    StatusRange(0xA700, 0xA7FF, Meaning.AGAIN, "out of resources"),
    StatusRange(0xA900, 0xA9FF, Meaning.REFUSED, "data set does not match SOP class"),
    StatusRange(0xB000, 0xBFFF, Meaning.WARNED, "coerced, discarded or unmatched elements"),
    StatusRange(0xC000, 0xCFFF, Meaning.REFUSED, "cannot understand"),
    StatusRange(0xFE00, 0xFE00, Meaning.AGAIN, "cancelled"),
)
UNKNOWN_STATUS = StatusRange(0x0000, 0xFFFF, Meaning.REFUSED, "a status that the standard does not know")

# PS3.4 Tables C.4-1 and C.4-2 (C-FIND, C-MOVE): pending is 0xFF00 or 0xFF01.
PENDING = frozenset((0xFF00, 0xFF01))
QUERY_STATUSES = (
    StatusRange(0xA801, 0xA801, Meaning.REFUSED, "move destination unknown"),
    *STORE_STATUSES,
)

# PS3.8 Table 9-21: (source, reason) of an A-ASSOCIATE-RJ. Source 3: the peer is busy, whatever the result says.
PERMANENT_RESULT = 1
PRESENTATION_SOURCE = 3
REJECTION_REASONS = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "our AE title is not recognised",
    (1, 7): "its AE title is not recognised",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}

# PS3.8 Table 9-18: result of one presentation context.
CONTEXT_REASONS = {
    1: "user rejection",
    2: "no reason given",
    3: "SOP class not supported",
    4: "transfer syntax not supported",
}


def store_outcome(peer: str, status: int | None) -> Accepted | RadloopError:
    """What a C-STORE response means; None is a response that never came."""
    return _outcome(peer, "C-STORE", status, STORE_STATUSES)


def query_error(peer: str, operation: str, status: int | None) -> RadloopError | None:
    """The error in a final C-FIND or C-MOVE status, or None where it succeeded, with or without warnings."""
    outcome = _outcome(peer, operation, status, QUERY_STATUSES)
    return outcome if isinstance(outcome, RadloopError) else None


def rejection(peer: str, result: int, source: int, reason: int) -> RadloopError:
    """What a rejected association means."""
    words = REJECTION_REASONS.get((source, reason), f"source {source}, reason {reason}")
    message = f"peer {peer} rejected the association: {words}"
    if result == PERMANENT_RESULT and source != PRESENTATION_SOURCE:
        return RefusedByPeer(message)
    return Unavailable(message)


def refused_context(peer: str, result: int | None) -> RefusedByPeer:
    """The outcome for an object whose presentation context the peer did not accept."""
    words = CONTEXT_REASONS.get(result or 0, "not answered")
    return RefusedByPeer(f"peer {peer} accepted no presentation context for this object: {words}")


def _outcome(peer: str, operation: str, status: int | None, table: tuple[StatusRange, ...]) -> Accepted | RadloopError:
    if status is None:
        return Unavailable(f"peer {peer} gave no {operation} response")
    row = next((row for row in table if row.low <= status <= row.high), UNKNOWN_STATUS)
    if row.meaning is Meaning.DONE:
        return Accepted()
    if row.meaning is Meaning.WARNED:
        return Accepted((f"0x{status:04X}",))
    error = Unavailable if row.meaning is Meaning.AGAIN else RefusedByPeer
    return error(f"peer {peer} answered {operation} with 0x{status:04X}: {row.words}")
