"""What may stand in a value that we copy: the VR rules of PS3.5 Table 6.2-1 as functions from text to text.

Two kinds of value, two rules. Text for people is cleaned and cut to fit. An identifier is copied as it is or not at
all: a cut identifier would name somebody else.
"""

import re
from datetime import datetime

LONG_STRING = 64
SHORT_STRING = 16
NAME_GROUP = 64
NAME_GROUPS = 3
NAME_COMPONENTS = 5

# C0 and C1 controls, DEL, the Unicode line separators, and surrogates that UTF-8 cannot carry.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
_UID = re.compile(r"[0-2](\.(0|[1-9]\d*))+")
_AGE = re.compile(r"\d{3}[DWMY]")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_OFFSET = re.compile(r"[+-](0\d|1[0-4])[0-5]\d")
_SEXES = frozenset({"M", "F", "O"})
_DECIMAL_LENGTH = 16


def plain(text: str) -> str:
    """One line without control characters, runs of them being one space."""
    return _UNFIT.sub(" ", text).strip()


def long_text(text: str, limit: int = LONG_STRING) -> str:
    """LO for people: no backslash (it would split the value), at most `limit` characters."""
    return plain(text).replace("\\", "/")[:limit].strip()


def identifier(text: str, limit: int = LONG_STRING) -> str:
    """An identifier as it is, or '' where its VR does not allow it."""
    trimmed = text.strip(" ")
    return trimmed if len(trimmed) <= limit and "\\" not in trimmed and not _UNFIT.search(trimmed) else ""


def uid(text: str) -> str:
    """A UID (PS3.5 section 9.1), or ''."""
    return text if len(text) <= 64 and _UID.fullmatch(text) else ""


def person_name(text: str) -> str:
    """PN (PS3.5 section 6.2.1): at most three groups of at most five components and 64 characters each."""
    groups = [_name_group(group) for group in text.split("=")[:NAME_GROUPS]]
    return "=".join(groups).rstrip("=")


def _name_group(group: str) -> str:
    components = [long_text(part) for part in group.split("^")[:NAME_COMPONENTS]]
    return "^".join(components)[:NAME_GROUP].rstrip("^ ")


def date(text: str) -> str:
    """DA as YYYYMMDD (the retired dotted form is accepted), or ''."""
    digits = text.strip().replace(".", "")
    try:
        return datetime.strptime(digits, "%Y%m%d").strftime("%Y%m%d") if len(digits) == 8 else ""  # noqa: DTZ007 - DA
    except ValueError:
        return ""


def time(text: str) -> str:
    """TM as HHMMSS.FFFFFF (the retired form with colons is accepted), or ''."""
    digits = text.strip().replace(":", "")
    return digits if _TIME.fullmatch(digits) else ""


def sex(text: str) -> str:
    """Patient's Sex (PS3.3 C.7.1.1): M, F or O; anything else is ''."""
    letter = text.strip().upper()
    return letter if letter in _SEXES else ""


def age(text: str) -> str:
    """AS, or ''."""
    return text.strip() if _AGE.fullmatch(text.strip()) else ""


def decimal(text: str) -> str:
    """DS of one positive finite number, or ''."""
    trimmed = text.strip()
    try:
        usable = len(trimmed) <= _DECIMAL_LENGTH and 0 < float(trimmed) < float("inf")
    except ValueError:
        return ""
    return trimmed if usable else ""


def offset(text: str) -> str:
    """Timezone Offset From UTC as +HHMM, or ''."""
    return text.strip() if _OFFSET.fullmatch(text.strip()) else ""
