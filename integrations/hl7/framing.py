"""Minimal Lower Layer Protocol: a message is 0x0B, its bytes, 0x1C 0x0D (HL7 2.5.1 appendix C.4)."""

from radloop.domain.errors import TooLarge, Unparsable

START = b"\x0b"
END = b"\x1c\r"
LINE_ENDS = b"\r\n"
"""Some systems write a line end after a frame; nothing else may stand between frames."""
LARGEST_MESSAGE = 16 * 1024 * 1024


def frame(message: bytes) -> bytes:
    """`message` as it goes on the wire.

    Raises:
        Unparsable: it holds a framing character, and would be cut in two.
    """
    if START in message or END[:1] in message:
        raise Unparsable("a framing character within the message")
    return START + message + END


class Decoder:
    """Takes bytes as they come and gives whole messages. Holds at most `limit` bytes and a read's worth."""

    def __init__(self, limit: int = LARGEST_MESSAGE) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes, without their frames.

        Raises:
            Unparsable: something between frames, or a start within a message. Close the connection.
            TooLarge: a message longer than the limit. Close the connection.
        """
        self._buffer += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> bytes | None:
        if not self._searched:
            self._skip_to_start()
        end = self._buffer.find(END, max(self._searched - 1, 0))
        length = (end if end >= 0 else len(self._buffer)) - 1
        if length > self._limit:
            raise TooLarge(f"a message of more than {self._limit} bytes")
        if end < 0:
            self._searched = len(self._buffer)
            return None
        message = bytes(self._buffer[1:end])
        if START in message:
            raise Unparsable("a message within a message")
        del self._buffer[: end + len(END)]
        self._searched = 0
        return message

    def _skip_to_start(self) -> None:
        between = len(self._buffer) - len(self._buffer.lstrip(LINE_ENDS))
        del self._buffer[:between]
        if self._buffer and not self._buffer.startswith(START):
            raise Unparsable("bytes outside a frame")
