"""The file that a received data set becomes: preamble, file meta, and the data set as it came (PS3.10 section 7.1)."""

from struct import Struct
from typing import Final

from radloop import __version__

# PS3.10 section 7.1: the preamble is zeroed, whatever stood in a sender's file; programs hide in it.
PREAMBLE: Final = bytes(128) + b"DICM"
VERSION_NAME: Final = f"RADLOOP_{__version__}"[:16]
_SHORT: Final = Struct("<HH2sH")
_LONG: Final = Struct("<HH2s2xI")


class FileMeta:
    """Writes file meta information under one implementation UID."""

    def __init__(self, implementation_uid: str) -> None:
        self._tail = _text(0x0012, b"UI", implementation_uid) + _text(0x0013, b"SH", VERSION_NAME)

    def header(self, sop_class_uid: str, sop_uid: str, transfer_syntax_uid: str) -> bytes:
        """Everything before the data set: Explicit VR Little Endian, with its group length (PS3.10 Table 7.1-1)."""
        rest = (
            _LONG.pack(0x0002, 0x0001, b"OB", 2)
            + b"\x00\x01"
            + _text(0x0002, b"UI", sop_class_uid)
            + _text(0x0003, b"UI", sop_uid)
            + _text(0x0010, b"UI", transfer_syntax_uid)
            + self._tail
        )
        return PREAMBLE + _SHORT.pack(0x0002, 0x0000, b"UL", 4) + len(rest).to_bytes(4, "little") + rest


def _text(element: int, vr: bytes, value: str) -> bytes:
    """PS3.5 section 6.2: an even length, UIDs padded with NUL and text with a space."""
    raw = value.encode("ascii", "replace")
    if len(raw) % 2:
        raw += b"\x00" if vr == b"UI" else b" "
    return _SHORT.pack(0x0002, element, vr, len(raw)) + raw
