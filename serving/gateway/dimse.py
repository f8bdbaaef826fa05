"""DIMSE messages of what we answer: C-ECHO, C-STORE and N-EVENT-REPORT (PS3.7 sections 9.1.5, 9.1.1 and 10.1.1).

A command set here is read and written where it stands. pynetdicom builds pydicom data sets for it: 1.3 ms of Python for
each instance, and more machinery around a stranger's bytes than nine fields need.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from io import BytesIO
from struct import Struct, error
from typing import Any, Final

from radloop.domain.errors import TooLarge, Unparsable

# PS3.8 Table 9-11: PDU type, reserved, length of what follows. PS3.8 Table 9-22 and Annex E.1: item length,
# presentation context, message control header.
PDU_HEADER: Final = Struct(">BxL")
P_DATA_TF: Final = 0x04
PDV_HEADER: Final = Struct(">LB")
RESPONSE_HEADER: Final = Struct(">BxLLBB")
COMMAND_BIT: Final = 0x01
LAST_BIT: Final = 0x02
# PS3.7 section 6.3.1: command sets are Implicit VR Little Endian. A C-STORE's has some 300 bytes.
COMMAND_LIMIT: Final = 64 << 10
# The event information of a storage commitment has some 200 bytes for each object that was asked for.
EVENT_LIMIT: Final = 1 << 20
ELEMENT: Final = Struct("<HHL")
US: Final = Struct("<H")
UL: Final = Struct("<L")
NO_DATA_SET: Final = 0x0101


class Field(IntEnum):
    """Elements of a command set (PS3.7 Table E.1-1), all in group 0000."""

    GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    COMMAND_DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    EVENT_TYPE_ID = 0x1002


class Operation(IntEnum):
    """CommandField (0000,0100) of the requests that we answer (PS3.7 Table E.1-1)."""

    C_STORE = 0x0001
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100


RESPONSE_BIT: Final = 0x8000


@dataclass(frozen=True, slots=True)
class Command:
    """What a request's command set says."""

    operation: int
    message_id: int
    sop_class_uid: str
    sop_uid: str
    has_data: bool
    event_type: int | None = None
    """Of an N-EVENT-REPORT."""


class Bounded(BytesIO):
    """Bytes up to a limit; beyond it everything is let go and `overflowed` is set."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self.overflowed = False

    def write(self, data: Any) -> int:
        """Keep `data`, or let all go."""
        if self.overflowed or self.tell() + len(data) > self._limit:
            self.overflowed = True
            self.seek(0)
            self.truncate()
            return len(data)
        return super().write(data)


class Hashed(Bounded):
    """As `Bounded`, hashed as it comes: the bytes are warm, and the sender sends on meanwhile."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        """Hash, and keep or let go."""
        self._digest.update(data)
        return super().write(data)

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of everything so far."""
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Message:
    """One whole request.

    `data` is its encoded data set, `sha256` (hex) that of `data`: None where there is none, or one beyond the limit.
    """

    context_id: int
    command: Command
    data: memoryview | None
    sha256: str | None


class Assembler:
    """Puts messages together from the fragments of P-DATA-TF PDUs (PS3.8 Annex E).

    Args:
        most: bytes of the largest data set that is kept; a larger one is received and let go.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._begin()

    def take(self, pdu: memoryview) -> list[Message]:
        """The messages that a P-DATA-TF completes.

        Raises:
            Unparsable: it is not made of fragments of one message after another.
            TooLarge: a command set beyond every command set.
        """
        fragments = _fragments(pdu[PDU_HEADER.size :])
        return [message for context_id, fragment in fragments if (message := self._add(context_id, fragment))]

    def _begin(self) -> None:
        self._context_id: int | None = None
        self._raw_command = Bounded(COMMAND_LIMIT)
        self._command: Command | None = None
        self._data = Hashed(self._most)

    def _add(self, context_id: int, fragment: memoryview) -> Message | None:
        control = fragment[0]
        # PS3.8 Annex E.2: the fragments of one message follow each other, in one presentation context.
        if self._context_id not in (None, context_id) or bool(control & COMMAND_BIT) is (self._command is not None):
            raise Unparsable("fragments of different messages are mixed")
        self._context_id = context_id
        if control & COMMAND_BIT:
            self._add_command(fragment[1:], last=bool(control & LAST_BIT))
        else:
            self._data.write(fragment[1:])
        return self._finished(last=bool(control & LAST_BIT))

    def _add_command(self, fragment: memoryview, *, last: bool) -> None:
        self._raw_command.write(fragment)
        if self._raw_command.overflowed:
            raise TooLarge("a command set beyond every command set")
        if last:
            self._command = read_command(self._raw_command.getvalue())
            if self._command.operation == Operation.N_EVENT_REPORT:
                self._data = Hashed(min(self._most, EVENT_LIMIT))

    def _finished(self, *, last: bool) -> Message | None:
        command, context_id, data = self._command, self._context_id, self._data
        if (
            not last
            or command is None
            or context_id is None
            or (command.has_data and not data.tell() + data.overflowed)
        ):
            return None
        self._begin()
        if not command.has_data or data.overflowed:
            return Message(context_id, command, None, None)
        return Message(context_id, command, data.getbuffer(), data.sha256)


def read_command(raw: bytes) -> Command:
    """Read a request's command set.

    Raises:
        Unparsable: it is none, or lacks what every request has.
    """
    values = dict(_elements(raw))
    try:
        return Command(
            operation=US.unpack(values[Field.COMMAND_FIELD])[0],
            message_id=US.unpack(values[Field.MESSAGE_ID])[0],
            sop_class_uid=_uid(values[Field.AFFECTED_SOP_CLASS_UID]),
            sop_uid=_uid(values.get(Field.AFFECTED_SOP_INSTANCE_UID, b"")),
            has_data=US.unpack(values[Field.COMMAND_DATA_SET_TYPE])[0] != NO_DATA_SET,
            event_type=US.unpack(values[Field.EVENT_TYPE_ID])[0] if Field.EVENT_TYPE_ID in values else None,
        )
    except (KeyError, error, UnicodeDecodeError):
        raise Unparsable("a command set that is no request") from None


def response(message: Message, status: int) -> bytes:
    """The P-DATA-TF PDU that answers a request (PS3.7 Tables 9.3-2, 9.3-13 and 10.3-2).

    It is some 180 bytes, in one fragment: no peer's maximum length is smaller.
    """
    command = message.command
    rest = b"".join(
        (
            _element(Field.AFFECTED_SOP_CLASS_UID, _padded(command.sop_class_uid)),
            _element(Field.COMMAND_FIELD, US.pack(command.operation | RESPONSE_BIT)),
            _element(Field.MESSAGE_ID_BEING_RESPONDED_TO, US.pack(command.message_id)),
            _element(Field.COMMAND_DATA_SET_TYPE, US.pack(NO_DATA_SET)),
            _element(Field.STATUS, US.pack(status)),
            _element(Field.AFFECTED_SOP_INSTANCE_UID, _padded(command.sop_uid)) if command.sop_uid else b"",
            b"" if command.event_type is None else _element(Field.EVENT_TYPE_ID, US.pack(command.event_type)),
        )
    )
    body = _element(Field.GROUP_LENGTH, UL.pack(len(rest))) + rest
    control = COMMAND_BIT | LAST_BIT
    return RESPONSE_HEADER.pack(P_DATA_TF, len(body) + 6, len(body) + 2, message.context_id, control) + body


def _fragments(rest: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Presentation context and fragment, with its message control header, of each PDV; they fill the PDU exactly."""
    while rest:
        if len(rest) <= PDV_HEADER.size:
            raise Unparsable("a PDV without a message control header")
        length, context_id = PDV_HEADER.unpack_from(rest)
        end = length + 4
        if length < 2 or end > len(rest):
            raise Unparsable("a PDV that does not fit in its PDU")
        yield context_id, rest[PDV_HEADER.size : end]
        rest = rest[end:]


def _elements(raw: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(raw):
        if at + ELEMENT.size > len(raw):
            raise Unparsable("a command set that ends within an element")
        group, number, length = ELEMENT.unpack_from(raw, at)
        at += ELEMENT.size + length
        if group or at > len(raw):
            raise Unparsable("a command set with an element that does not belong there")
        yield number, raw[at - length : at]


def _element(number: int, value: bytes) -> bytes:
    return ELEMENT.pack(0x0000, number, len(value)) + value


def _uid(raw: bytes) -> str:
    return raw.decode("ascii").rstrip("\0 ")


def _padded(uid: str) -> bytes:
    raw = uid.encode("ascii")
    return raw + b"\0" * (len(raw) % 2)
