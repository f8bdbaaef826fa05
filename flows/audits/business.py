"""The business case: what was measured, at the site's own rates. What the site did not say is missing, never guessed.

Hours recovered are no money: they become some where a site uses them. Nothing is projected beyond the period.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flows.audits.cases import Gathered, Reading, gather, overridden
from flows.audits.facts import judged
from flows.audits.period import Period
from flows.audits.reading import ReadTimes, reading
from flows.house import House
from radloop.settings import RoiSettings

DAYS_PER_YEAR: Final = 365.25
MINUTES: Final = 60.0
SITE: Final = "radloop.toml, [roi] "
RATES: Final = ("currency", "reader_hour_cost", "minutes_saved_per_study", "minutes_lost_per_override", "cost_per_year")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One number that the case rests on, and where it comes from. `value` None: nobody said."""

    name: str
    value: int | float | str | None
    unit: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Business:
    """The case of one period. Amounts are in the site's currency; None where a rate that they need is missing.

    `break_even_minutes`: minutes saved per study from which the case breaks even.
    """

    period: Period
    assumptions: tuple[Assumption, ...]
    missing: tuple[str, ...]
    hours_recovered: float | None
    worth: float | None
    cost: float | None
    net: float | None
    break_even_minutes: float | None


@dataclass(frozen=True, slots=True)
class Volume:
    """What was measured: signed studies that a model had answered, those that a reader judged, and those overridden.

    `saved`: minutes by modality as the RIS's times tell them, where it sends any.
    """

    studies: int
    judged: int
    overridden: int
    saved: tuple[ReadTimes, ...] = ()


def business(house: House, period: Period, model: str = "") -> Business:
    """Reckon a period, of one model or of all.

    Raises:
        Transient: the ledger is away.
    """
    with house.ledger.read() as conn:
        gathered, saved = gather(conn, period, model), reading(conn, period)
    return reckon(period, volume(gathered, saved), house.settings.roi)


def volume(gathered: Gathered, saved: tuple[ReadTimes, ...] = ()) -> Volume:
    """Studies, each counted once however many models and findings it has."""
    against = {
        case.answer.signed.version_id for case in gathered.cases for reading in Reading if overridden(case, reading)
    }
    against |= {one.answer.signed.version_id for one in gathered.additions}
    studies = {one.signed.version_id for one in gathered.answers}
    return Volume(len(studies), len(judged(gathered) | against), len(against), saved)


def reckon(period: Period, seen: Volume, rates: RoiSettings) -> Business:
    """The case, as far as the rates reach."""
    hours = _hours(seen, rates)
    rate, yearly = rates.reader_hour_cost, rates.cost_per_year
    worth = None if hours is None or rate is None else hours * rate
    cost = None if yearly is None else yearly * period.days / DAYS_PER_YEAR
    return Business(
        period=period,
        assumptions=tuple(_assumptions(period, seen, rates)),
        missing=tuple(name for name in RATES if getattr(rates, name) in (None, "")),
        hours_recovered=hours,
        worth=worth,
        cost=cost,
        net=None if worth is None or cost is None else worth - cost,
        break_even_minutes=_break_even(seen, rates, cost),
    )


def _hours(seen: Volume, rates: RoiSettings) -> float | None:
    saved, lost = rates.minutes_saved_per_study, rates.minutes_lost_per_override
    if saved is None or lost is None:
        return None
    return (seen.studies * saved - seen.overridden * lost) / MINUTES


def _break_even(seen: Volume, rates: RoiSettings, cost: float | None) -> float | None:
    lost, rate = rates.minutes_lost_per_override, rates.reader_hour_cost
    if cost is None or lost is None or rate is None or not seen.studies:
        return None
    return (cost / rate * MINUTES + seen.overridden * lost) / seen.studies


def _assumptions(period: Period, seen: Volume, rates: RoiSettings) -> Iterator[Assumption]:
    measured = f"measured, signed {period}"
    yield Assumption(name="days", value=round(period.days, 2), unit="days", source="the period asked for")
    yield Assumption(name="studies that a model answered", value=seen.studies, unit="studies", source=measured)
    yield Assumption(name="of these with a verdict", value=seen.judged, unit="studies", source=measured)
    yield Assumption(
        name="of these overridden",
        value=seen.overridden,
        unit="studies",
        source=f"{measured}; studies without a verdict are taken for not overridden",
    )
    yield from (_measured(one, measured) for one in seen.saved)
    units = {
        "currency": "",
        "reader_hour_cost": rates.currency,
        "minutes_saved_per_study": "minutes",
        "minutes_lost_per_override": "minutes",
        "cost_per_year": rates.currency,
    }
    for name in RATES:
        value = getattr(rates, name)
        said = value not in (None, "")
        source = SITE + name if said else f"missing: {SITE}{name}"
        yield Assumption(name=name.replace("_", " "), value=value if said else None, unit=units[name], source=source)


def _measured(one: ReadTimes, source: str) -> Assumption:
    """Shown beside the site's own rate and not used for it: the two kinds of studies differ in more than the answer."""
    n = f"n {one.without_n} without, {one.beside_n} with an answer"
    told = one.saved.value is not None
    words = f"95 % {one.saved.low:.2f} to {one.saved.high:.2f}, {n}" if told else f"insufficient data, {n}"
    return Assumption(
        name=f"minutes saved per {one.modality} study, by the RIS's times",
        value=None if one.saved.value is None else round(one.saved.value, 2),
        unit="minutes",
        source=f"{source}; {words}; shown, not used",
    )
