"""The identifiers of an encoded data set: what the gateway reads of each instance, and nothing more."""

import re
from collections import deque
from typing import Final

from radloop.domain.errors import Unparsable
from radloop.domain.records import InstanceHeader
from radloop.pixels.elements import DEFLATED, Buffer, elements, inflate
from radloop.pixels.limits import DEFAULT, Limits

# PS3.6: the tag, and the field that it fills.
_FIELDS: Final = {
    0x00080016: "sop_class_uid",
    0x00080018: "sop_uid",
    0x00080050: "accession_number",
    0x00080060: "modality",
    0x00100020: "patient_id",
    0x00100021: "issuer",
    0x0020000D: "study_uid",
    0x0020000E: "series_uid",
}
_LAST: Final = max(_FIELDS)
_UIDS: Final = tuple(name for name in _FIELDS.values() if name.endswith("_uid"))
_ABSENT: Final = dict.fromkeys(_FIELDS.values(), "")
# PS3.5 9.1: digits and dots, at most 64. Leading zeros are sent by old devices and harm nobody.
_UID: Final = re.compile(r"[0-9][0-9.]{0,63}")
_LONGEST: Final = 1024
_PADDING: Final = "\0 "


def parse_identity(dataset: Buffer, transfer_syntax_uid: str, limits: Limits = DEFAULT) -> InstanceHeader:
    """Read the identifiers of an encoded data set (no preamble, no file meta), and walk it to its last byte.

    Text is kept as it is, control characters and all: it is opaque, and no path is made of it.

    Raises:
        Unparsable: not a data set of this transfer syntax, one that was cut or whose lengths lie, or a UID is missing
            or not one.
        TooLarge: a deflated data set that inflates past the limit.
    """
    data = inflate(dataset, limits.inflated) if transfer_syntax_uid in DEFLATED else dataset
    found = _values(data, transfer_syntax_uid, limits)
    for name in _UIDS:
        if not _UID.fullmatch(found[name]):
            raise Unparsable(f"the data set has no valid {name}")
    return InstanceHeader(transfer_syntax_uid=transfer_syntax_uid, **found)


def _values(data: Buffer, transfer_syntax_uid: str, limits: Limits) -> dict[str, str]:
    found = dict(_ABSENT)
    walk = elements(data, transfer_syntax_uid, limits)
    for tag, start, length in walk:
        if name := _FIELDS.get(tag):
            found[name] = _text(data, start, length)
        # PS3.5 7.1: elements stand in ascending order of their tags.
        if tag >= _LAST:
            break
    deque(walk, maxlen=0)
    return found


def _text(data: Buffer, start: int, length: int) -> str:
    if length > _LONGEST:
        raise Unparsable("an identifier is longer than any identifier may be")
    raw = bytes(data[start : start + length])
    try:
        return raw.decode().strip(_PADDING)
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip(_PADDING)
