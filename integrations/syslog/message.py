"""One syslog message: the header of RFC 5424, the audit message of DICOM behind it, its length in front (RFC 5425)."""

import os
import re
from dataclasses import replace
from typing import Final

from radloop.audit.atna import Source, message
from radloop.ledger.audit_log import Entry

# RFC 5424 section 6.2.1. IHE ITI TF-2: 3.20.4.1.2: facility 10 (security/authorization), severity 5 (notice).
PRIORITY: Final = 10 * 8 + 5
APP_NAME: Final = "radloop"
# IHE ITI TF-2: 3.20.4.1.2: says what the message holds.
MSGID: Final = "IHE+RFC-3881"
# RFC 5424 section 6.4: it stands before text in UTF-8.
BOM: Final = b"\xef\xbb\xbf"
HOSTNAME_LENGTH: Final = 255
LONGEST_DETAIL: Final = 1500
"""RFC 5425 section 4.3.1: a receiver should take 8192 octets; a record's text is most of what varies."""
_NOT_PRINTABLE: Final = re.compile(r"[^\x21-\x7e]")


def framed(entry: Entry, source: Source) -> bytes:
    """One record on its way: `MSG-LEN SP SYSLOG-MSG` (RFC 5425 section 4.3)."""
    host = _NOT_PRINTABLE.sub("", source.host)[:HOSTNAME_LENGTH] or "-"
    header = f"<{PRIORITY}>1 {entry.at.isoformat()} {host} {APP_NAME} {os.getpid()} {MSGID} - "
    said = header.encode() + BOM + message(_shortened(entry), source)
    return str(len(said)).encode() + b" " + said


def _shortened(entry: Entry) -> Entry:
    """The link is over the whole text: what is cut here is still proven by it."""
    if len(entry.detail) <= LONGEST_DETAIL:
        return entry
    return replace(entry, detail=f"{entry.detail[:LONGEST_DETAIL]} [{len(entry.detail)} characters]")
