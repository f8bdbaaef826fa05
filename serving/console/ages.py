"""How old a patient is, as readers say it."""

from datetime import date


def age_of(birth_date: str, today: date) -> str:
    """`45 y`, `7 mo`; '' where the birth date (eight digits) is unknown or none."""
    try:
        born = date(int(birth_date[:4]), int(birth_date[4:6]), int(birth_date[6:8]))
    except ValueError:
        return ""
    months = (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)
    return "" if months < 0 else f"{months // 12} y" if months >= 24 else f"{months} mo"
