"""Links by which the PACS opens a study here: signed with a key that both share, good for a day at most.

A link is `/open?study=UID&until=UNIX&key=HEX`: `until` in seconds since 1970, `key` the HMAC-SHA256 (RFC 2104) of the
text `study=UID&until=UNIX` under the shared key.
"""

import hmac
import os
import re
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from radloop.domain.errors import NotFound, Rejected

KEY_NAME: Final = "links.key"
KEY_BYTES: Final = 32
LONGEST: Final = timedelta(hours=24)
UID: Final = re.compile(r"[0-9][0-9.]{0,63}")
_KEY: Final = re.compile(r"[0-9a-f]{64}")


class LinkRefused(Rejected):
    """The link is not, or no longer, one that opens a study."""

    code = "link-refused"


def make_key(path: Path) -> str:
    """The shared key in hexadecimal digits; made where there is none yet."""
    made = secrets.token_hex(KEY_BYTES)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return read_key(path)
    return made


def read_key(path: Path) -> str:
    """The shared key.

    Raises:
        NotFound: nobody has made one.
    """
    try:
        found = path.read_text().strip()
    except FileNotFoundError:
        raise NotFound("there is no key for links yet: radloop link key makes one") from None
    if not _KEY.fullmatch(found):
        raise NotFound("the key for links is damaged: remove the file, and make another with radloop link key")
    return found


def query_of(key: str, study_uid: str, until: datetime) -> str:
    """What follows `/open?`."""
    text = _text(study_uid, int(until.timestamp()))
    return f"{text}&key={_signature(key, text)}"


def check(key: str, study_uid: str, until: int, given: str, now: datetime) -> None:
    """Whether a link opens its study now.

    Raises:
        LinkRefused: it was signed with another key, or changed; it is too old; or it would be good for too long.
    """
    expected = _signature(key, _text(study_uid, until))
    if not hmac.compare_digest(expected.encode(), given.lower().encode()):
        raise LinkRefused("this link was not made by the PACS of this site, or it was changed on the way")
    if until < now.timestamp():
        raise LinkRefused("this link is too old: open the study from the PACS again")
    if until > (now + LONGEST).timestamp():
        raise LinkRefused("this link would be good for more than a day: the PACS must sign shorter ones")


def expiry(now: datetime, lasts: timedelta = timedelta(hours=1)) -> datetime:
    """Until when a link that is made now is good."""
    return datetime.fromtimestamp(int((now + min(lasts, LONGEST)).timestamp()), UTC)


def _text(study_uid: str, until: int) -> str:
    return f"study={study_uid}&until={until}"


def _signature(key: str, text: str) -> str:
    return hmac.new(bytes.fromhex(key), text.encode(), sha256).hexdigest()
