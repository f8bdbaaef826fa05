"""How old a patient is and when a study was made, as readers say it."""

from datetime import date


def age_of(birth_date: str, today: date) -> str:
    """`45 y`, `7 mo`; '' where the birth date (eight digits) is unknown or none."""
    try:
        born = date(int(birth_date[:4]), int(birth_date[4:6]), int(birth_date[6:8]))
    except ValueError:
        return ""
    months = (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)
    return "" if months < 0 else f"{months // 12} y" if months >= 24 else f"{months} mo"


def day_of(date_text: str) -> str:
    """Eight digits as `2026-03-01`; '' where it is none."""
    return f"{date_text[:4]}-{date_text[4:6]}-{date_text[6:]}" if len(date_text) == 8 else ""
