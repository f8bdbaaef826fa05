"""Objects ready to be sent, for tests of adapters."""

import hashlib

from radloop.domain.enums import ObjectKind
from radloop.domain.records import Blob, Parcel, StoredObject


def parcel(
    data: bytes, name: str = "ob_1", *, identifier: str = "IDENTIFIER-1", kind: ObjectKind = ObjectKind.SC
) -> Parcel:
    """`data` as an object of its own."""
    stored = StoredObject(
        id=name,
        result_id="re_1",
        kind=kind,
        ordinal=0,
        identifier=identifier,
        media_type="application/octet-stream",
        blob=Blob("key", hashlib.sha256(data).hexdigest(), len(data)),
    )
    return Parcel(stored, data)
