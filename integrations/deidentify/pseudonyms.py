"""Pseudonyms: derived by a key of the site, so that nobody needs to keep a list of who is who.

The same identifier becomes the same pseudonym within a project, and another one in another project. Whoever holds the
key and an original identifier can derive the pseudonym again; nobody can go the other way.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from radloop.domain.errors import SettingsError

MOST_DAYS: Final = 3652
"""Dates move back by 1 to this many days: about ten years."""
_PROJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SHOWN: Final = 16


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The pseudonyms of one project; `key` is the project's own and is never shown."""

    project: str
    key: bytes = field(repr=False)

    @classmethod
    def of_project(cls, site_key: bytes, project: str) -> "Pseudonyms":
        """Derive the project's key from the site's.

        Raises:
            SettingsError: the name of the project is not letters, digits, `_`, `.` and `-`.
        """
        if not _PROJECT.fullmatch(project):
            raise SettingsError("--project: expected letters, digits, _ . and -, at most 64")
        return cls(project, _mac(site_key, "radloop deidentify", project))

    def patient(self, issuer: str, patient_id: str) -> str:
        """PatientID and PatientName of the output: 16 characters of base 32 behind `P-`."""
        return "P-" + base64.b32encode(_mac(self.key, "patient", issuer, patient_id)).decode()[:_SHOWN]

    def uid(self, uid: str) -> str:
        """A UID under 2.25 (PS3.5 B.2), from 128 bits of the HMAC."""
        return f"2.25.{int.from_bytes(_mac(self.key, 'uid', uid)[:16], 'big')}"

    def days(self, patient: str) -> int:
        """By how many days the dates of a patient (a pseudonym) move back: 1 to `MOST_DAYS`."""
        return 1 + int.from_bytes(_mac(self.key, "days", patient)[:8], "big") % MOST_DAYS

    def file_name(self, sop_instance_uid: str) -> str:
        """An opaque name for the file of an instance (its original UID)."""
        return _mac(self.key, "file", sop_instance_uid).hex()[:32] + ".dcm"


def shifted(text: str, days: int) -> str | None:
    """A DA (YYYYMMDD), or a DT that begins with one, moved back by whole days; None where it is no date.

    The time of day stays as it is. The offset from UTC of a DT is cut off: it tells the region.
    """
    try:
        # The old form with dots is of ACR-NEMA; PS3.5 6.2 asks readers to take it.
        digits = text.strip("\0 ").replace(".", "", 2) if text[4:5] == "." else text.strip("\0 ")
        moved = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) - timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    rest = re.fullmatch(r"(\d{0,6}(?:\.\d{1,6})?)([+-]\d{4})?", digits[8:])
    return f"{moved:%Y%m%d}".rjust(8, "0") + rest[1] if rest else None


def _mac(key: bytes, *parts: str) -> bytes:
    return hmac.digest(key, "\x1f".join(parts).encode(), hashlib.sha256)
