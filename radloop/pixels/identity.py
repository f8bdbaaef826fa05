"""The identifiers of an encoded data set: what the gateway reads of each instance, and nothing more."""

import re
from typing import Final

from radloop.domain.errors import Unparsable
from radloop.domain.records import InstanceHeader
from radloop.pixels.elements import DEFLATED, Buffer, elements, inflate_front
from radloop.pixels.limits import MIB

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
# Identifiers stand at the front: this much of a deflated data set holds them.
_FRONT: Final = 4 * MIB


def parse_identity(dataset: Buffer, transfer_syntax_uid: str) -> InstanceHeader:
    """Read the identifiers of an encoded data set (no preamble, no file meta).

    Text is kept as it is, control characters and all: it is opaque, and no path is made of it. Reading stops
    after the series UID, so a data set that is cut later passes; `check_whole` walks to the end.

    Raises:
        Unparsable: not a data set of this transfer syntax, or a UID is missing or not one.
    """
    data = inflate_front(dataset, _FRONT) if transfer_syntax_uid in DEFLATED else dataset
    found = _values(data, transfer_syntax_uid)
    for name in _UIDS:
        if not _UID.fullmatch(found[name]):
            raise Unparsable(f"the data set has no valid {name}")
    return InstanceHeader(transfer_syntax_uid=transfer_syntax_uid, **found)


def _values(data: Buffer, transfer_syntax_uid: str) -> dict[str, str]:
    found = dict(_ABSENT)
    for element in elements(data, transfer_syntax_uid):
        if name := _FIELDS.get(element.tag):
            found[name] = _text(data, element.start, element.length)
        # PS3.5 7.1: elements stand in ascending order of their tags.
        if element.tag >= _LAST:
            break
    return found


def _text(data: Buffer, start: int, length: int) -> str:
    if length > _LONGEST:
        raise Unparsable("an identifier is longer than any identifier may be")
    raw = bytes(data[start : start + length])
    try:
        return raw.decode().strip(_PADDING)
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip(_PADDING)
