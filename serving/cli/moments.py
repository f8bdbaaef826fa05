"""`--since` and `--expires`: a time span back from now or on from it, or a time."""

import re
from datetime import UTC, datetime, timedelta

from radloop.domain.errors import SettingsError

UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def since(text: str, now: datetime) -> datetime:
    """`1d`, `12h`, `30m` before `now`, or an ISO 8601 time (UTC where it names no offset).

    Raises:
        SettingsError: neither.
    """
    if (span := _span(text)) is not None:
        return now - span
    try:
        return _time(text)
    except ValueError:
        raise SettingsError(f"--since {text}: expected 1d, 12h or a time like 2026-05-01T08:00") from None


def until(text: str, now: datetime) -> datetime:
    """`90d`, `12h`, `30m` after `now`, or an ISO 8601 time after it (UTC where it names no offset).

    Raises:
        SettingsError: neither.
    """
    try:
        at = now + span if (span := _span(text)) is not None else _time(text)
    except (ValueError, OverflowError):
        at = now
    if at <= now:
        raise SettingsError(f"--expires {text}: expected 90d, 12h, or a time to come like 2030-05-01T08:00")
    return at


def _span(text: str) -> timedelta | None:
    span = re.fullmatch(r"([0-9]{1,6})([dhm])", text.strip())
    return timedelta(**{UNITS[span[2]]: int(span[1])}) if span else None


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text.strip())
    return at if at.tzinfo else at.replace(tzinfo=UTC)
