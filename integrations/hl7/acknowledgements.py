"""Acknowledgements, as the receiver that writes them and the sender that reads them (HL7 2.5.1 section 2.9.2)."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from integrations.hl7.message import CHARSETS, Delimiters, Message, escape, read_segments
from integrations.hl7.orders import MessageKind, kind_of
from radloop.domain.errors import ContentError, RadloopError, RefusedByPeer, Unavailable, Unparsable
from radloop.domain.ids import utc_now
from radloop.domain.records import Accepted
from radloop.settings import Peer

Meaning = Literal["accepted", "retry", "content", "refused"]
AckCode = Literal["AA", "AE", "AR"]

# HL7 2.5.1 section 2.9.2.2 and table 0008; a peer's own table goes over it.
MEANINGS: Mapping[str, Meaning] = MappingProxyType(
    {"AA": "accepted", "CA": "accepted", "AR": "retry", "AE": "content", "CE": "content", "CR": "refused"}
)
ERRORS: Mapping[Meaning, type[RadloopError]] = MappingProxyType(
    {"retry": Unavailable, "content": ContentError, "refused": RefusedByPeer}
)

# HL7 2.5.1 section 2.9.2: where MSH-16 wants no application acknowledgement, the accept acknowledgement is all.
ACCEPT_CODES = {"AA": "CA", "AE": "CE", "AR": "CR"}
SAFE_CODE = re.compile(r"[A-Za-z0-9._-]{1,20}")


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a peer answered: MSA-1, MSA-2, and the codes of ERR-3 or MSA-6, which are safe to log."""

    code: str
    control_id: str
    error_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message is not for us: MSA-1, and the code of table 0357 with its words."""

    code: AckCode
    reason_code: str
    text: str


# HL7 table 0357. AR: the message is of a kind that we do not take, and sending it again will not help.
REFUSALS = {
    MessageKind.MERGE: Refusal("AR", "201", "patient merges, moves and links are not supported"),
    MessageKind.UNKNOWN: Refusal("AR", "200", "unsupported message type"),
}


def refusal_of(message: Message) -> Refusal | None:
    """Why a message cannot be taken by its kind; None where it can."""
    return REFUSALS.get(kind_of(message))


def acknowledge(message: Message, code: AckCode, reason_code: str = "0", text: str = "") -> bytes:
    """The answer to `message`, without its frame: MSH, MSA, and ERR (table 0357) unless the code is AA.

    In enhanced mode without application acknowledgements (MSH-16 NE) the code is said as CA, CE or CR.
    """
    header, delimiters = message.header, message.header.delimiters
    charset, version = header.value(18), header.value(12) or "2.5.1"
    sep, event = delimiters.field, header.value(9, 2)
    ack_type = delimiters.component.join(["ACK", escape(event, delimiters), "ACK"] if event else ["ACK"])
    said = ACCEPT_CODES[code] if header.value(15) and header.value(16) == "NE" else code
    sender = [_raw(message, 5), _raw(message, 6), _raw(message, 3), _raw(message, 4)]
    msh = [f"MSH{sep}{delimiters.encoding_characters}", *sender, _now(), "", ack_type, _control_id()]
    msh += [_raw(message, 11) or "P", version, *[""] * 5, charset]
    segments = [sep.join(msh), sep.join(["MSA", said, _raw(message, 10)])]
    if code != "AA":
        segments.append(_err(reason_code, text, delimiters))
    return _encode(segments, charset)


def acknowledge_unreadable(reason_code: str = "100", text: str = "unreadable message") -> bytes:
    """AR for bytes whose MSH could not be read: MSA-2 stays empty, there is nothing to name."""
    delimiters = Delimiters()
    msh = f"MSH|^~\\&|||||{_now()}||ACK|{_control_id()}|P|2.5.1"
    return _encode([msh, "MSA|AR|", _err(reason_code, text, delimiters)], "")


def read_acknowledgement(data: bytes) -> Acknowledgement:
    """Read an answer without its frame.

    Raises:
        Unparsable: it is no acknowledgement.
    """
    message = read_segments(data)
    msa = message.first("MSA")
    if not msa.value(1):
        raise Unparsable("an answer without MSA")
    codes = [err.value(3) or err.value(1, 4) for err in message.all("ERR")] or [msa.value(6)]
    safe = tuple(code for code in codes if SAFE_CODE.fullmatch(code))
    return Acknowledgement(msa.value(1).upper(), msa.value(2), safe)


def outcome_of(peer: Peer, acknowledgement: Acknowledgement) -> Accepted | RadloopError:
    """What an acknowledgement means, by the table and the peer's own over it; an unknown code is tried again."""
    code = acknowledgement.code
    meaning = peer.acknowledgements.get(code) or MEANINGS.get(code, "retry")
    if meaning == "accepted":
        return Accepted(() if MEANINGS.get(code) == "accepted" else (code,))
    words = code if code in MEANINGS else "an unknown code"
    errors = f" ({', '.join(acknowledgement.error_codes)})" if acknowledgement.error_codes else ""
    return ERRORS[meaning](f"peer {peer.name} answered {words}{errors}")


def _raw(message: Message, number: int) -> str:
    """A field of MSH as it stands on the wire: it goes back as it came."""
    fields = message.header.fields
    return fields[number] if number < len(fields) else ""


def _err(reason_code: str, text: str, delimiters: Delimiters) -> str:
    # ERR-3 is CWE (table 0357), ERR-4 the severity (table 0516).
    reason = delimiters.component.join([escape(reason_code, delimiters), escape(text, delimiters), "HL70357"])
    return delimiters.field.join(["ERR", "", "", reason, "E"])


def _encode(segments: list[str], charset: str) -> bytes:
    # The message was decoded with this charset, or with Latin 1 where it did not keep to it.
    encoding = "latin-1" if charset == "ASCII" else CHARSETS[charset]
    return ("\r".join(segments) + "\r").encode(encoding, errors="replace")


def _now() -> str:
    return f"{utc_now():%Y%m%d%H%M%S%z}"


def _control_id() -> str:
    """MSH-10: at most 20 characters."""
    return f"A{secrets.token_hex(9)}"
