"""docs/drift.md and its drawings, from what was measured."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.phantoms.scanners import CHANGES
from radloop.render.shapes import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    PAPER,
    SOFT,
    Dot,
    Drawing,
    Line,
    Polyline,
    Rect,
    Shape,
    Text,
)  # fmt: skip
from radloop.render.svg import to_svg
from serving.cli.simulate_rows import ODD
from tests.drift.calibration import PER, RATES, FalseAlarms
from tests.drift.streams import STEP, WARM, Plan

INKS = {"radloop": BLUE, "evidently": ORANGE, "alibi-detect": GREEN}
PANEL, GAP, EDGE, TOP = (250.0, 170.0), 46.0, 52.0, 56.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One method at its threshold: its false alarms, and the delay of each run by scenario."""

    tool: str
    name: str
    false: FalseAlarms
    delays: Mapping[str, np.ndarray]

    @property
    def mean(self) -> float:
        return float(np.mean([one.mean() for one in self.delays.values()]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The mean delay of a tool in one scenario at several false-alarm rates (points are rate, delay)."""

    tool: str
    scenario: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was measured: every lane, ours first; the best lane of each tool; the curves; how the default did."""

    plan: Plan
    lanes: Sequence[Lane]
    best: Mapping[str, Lane]
    curves: Sequence[Curve]
    default_rate: float
    default: FalseAlarms
    minutes: float


def difference(ours: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Mean of ours less theirs on the same streams, with a 95 % bootstrap interval."""
    apart = ours - other
    rng = np.random.default_rng(0)
    means = apart[rng.integers(0, len(apart), (2000, len(apart)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(apart.mean()), float(low), float(high)


def verdict(low: float, high: float) -> str:
    """In one word, from the interval of ours less theirs."""
    if high < 0:
        return "faster"
    return "slower" if low > 0 else "no worse"


def write(outcome: Outcome, folder: Path) -> None:
    """The document and its drawing."""
    (folder / "drift.md").write_text("\n".join(_document(outcome)) + "\n", encoding="utf-8")
    (folder / "drift.svg").write_text(to_svg(_drawing(outcome)), encoding="utf-8")


def summary(outcome: Outcome) -> Iterator[str]:
    """The tables alone."""
    yield from _best_table(outcome)
    yield ""
    yield from _all_table(outcome)


def _document(outcome: Outcome) -> Iterator[str]:
    plan = outcome.plan
    yield from ("# How soon a change is found", "", "<!-- Made by `make drift`. -->", "")
    yield from _filled(
        f"{plan.runs} streams for each change and {plan.null_runs} without one, of {WARM + plan.studies} studies each, "
        f"from four simulated scanners of three hospitals. Every {STEP} studies each method looks at what has come. "
        f"After {WARM} studies one scanner changes; the delay is the number of studies, of all scanners, from the "
        f"change to the first alarm. Rows are drawn from {plan.pool} phantoms for each scanner and state, each of them "
        "drawn, measured and read by the pneumonia model once: settings, pixel facts, the model's score, its 64-number "
        f"embedding, the reader's disagreement. A reference holds {plan.reference_studies} studies. One study in "
        f"{1 / ODD:,.0f} carries a software version of its own that is never seen again (a machine in service mode): "
        "that is no change."
    )
    yield from _filled(
        "**Same false-alarm rate.** Every threshold is set on the same streams without a change, so that the upper end "
        f"of the 95 % interval of its false alarms is at most {plan.most:g} in {PER:,} studies. evidently and "
        "alibi-detect are represented by the variant of theirs that does best over all changes, chosen with these "
        "results in hand. They are given what the judge takes for itself: the latest 50 studies of each device apart, "
        "or the latest 200 of all; rare protocol names pooled; statistics combined."
    )
    yield from _best_table(outcome)
    yield ""
    yield from _filled(
        "A run without an alarm counts with one look more than it had. In brackets: radloop less the other in studies, "
        "the mean over the same streams with its 95 % interval (bootstrap over runs)."
    )
    yield from ("![Mean delay against false alarms, for each change](drift.svg)", "")
    yield from _filled(
        f"The judge's own default (a false-discovery rate of {outcome.default_rate:g}) alarmed "
        f"{_rate(outcome.default)} times in {PER:,} studies on the streams without a change."
    )
    yield from ("## All variants", "")
    yield from _all_table(outcome)
    yield ""
    yield from _filled(
        "A variant whose delay is that of a run without an alarm everywhere has no threshold that keeps the rate: its "
        "p is 0 for a single odd study. MMDDriftOnline of alibi-detect is not among them, because it takes five "
        "seconds of set-up for each device and reference; `alibi mmd short` gives its statistic the same short window."
    )
    yield from ("## What changes", "", "| change | at | what |", "|---|---|---|")
    yield from (f"| {one.name} | {one.station} | {one.words} |" for one in CHANGES.values())
    yield from ("", f"Measured in {outcome.minutes:.0f} minutes.")


def _filled(text: str) -> Iterator[str]:
    yield from (*textwrap.wrap(text, 118, break_on_hyphens=False), "")


def _best_table(outcome: Outcome) -> Iterator[str]:
    others = [tool for tool in outcome.best if tool != "radloop"]
    heads = [f"{tool} ({outcome.best[tool].name})" for tool in others]
    yield "| mean delay, studies | radloop | " + " | ".join(f"{head} | radloop is" for head in heads) + " |"
    yield "|---|---|" + "---|---|" * len(others)
    ours = outcome.best["radloop"]
    for scenario in CHANGES:
        cells = []
        for tool in others:
            mean, low, high = difference(ours.delays[scenario], outcome.best[tool].delays[scenario])
            cells += [_delay(outcome.best[tool].delays[scenario]), f"{verdict(low, high)} {_interval(mean, low, high)}"]
        yield f"| {scenario} | {_delay(ours.delays[scenario])} | " + " | ".join(cells) + " |"
    rates = " | ".join(f"{_rate(outcome.best[tool].false)} | " for tool in others)
    yield f"| false alarms | {_rate(ours.false)} | {rates}|"


def _all_table(outcome: Outcome) -> Iterator[str]:
    yield "| variant | false alarms per 5,000 | " + " | ".join(CHANGES) + " | mean |"
    yield "|---|---|" + "---|" * (len(CHANGES) + 1)
    for lane in outcome.lanes:
        cells = " | ".join(_delay(lane.delays[scenario]) for scenario in CHANGES)
        yield f"| {lane.name} | {_rate(lane.false)} | {cells} | {lane.mean:.0f} |"


def _delay(delays: np.ndarray) -> str:
    return f"{delays.mean():.0f}"


def _interval(mean: float, low: float, high: float) -> str:
    return f"({mean:+.0f}, {low:+.0f} to {high:+.0f})"


def _rate(one: FalseAlarms) -> str:
    return f"{one.rate:.2f} ({one.low:.2f} to {one.high:.2f})"


def _drawing(outcome: Outcome) -> Drawing:
    width, height = EDGE + 3 * (PANEL[0] + GAP), TOP + 2 * (PANEL[1] + GAP + 30)
    shapes: list[Shape] = [Rect(0, 0, width, height, PAPER)]
    shapes += list(_legend())
    for place, scenario in enumerate(CHANGES):
        left, top = EDGE + (place % 3) * (PANEL[0] + GAP), TOP + (place // 3) * (PANEL[1] + GAP + 30)
        shapes += list(_panel(outcome, scenario, left, top))
    return Drawing(width, height, "Mean delay in studies against false alarms per 5,000 studies", tuple(shapes))


def _legend() -> Iterator[Shape]:
    for place, (tool, ink) in enumerate(INKS.items()):
        yield Dot((EDGE + 4 + 120 * place, 18.0), 4.0, ink)
        yield Text((EDGE + 14 + 120 * place, 22.0), tool, 11.0, INK)
    yield Text((EDGE + 380.0, 22.0), "mean delay in studies, against false alarms per 5,000 studies", 9.5, SOFT)


def _panel(outcome: Outcome, scenario: str, left: float, top: float) -> Iterator[Shape]:
    curves = [one for one in outcome.curves if one.scenario == scenario]
    most = max([delay for one in curves for _, delay in one.points] or [1.0]) * 1.1
    bottom = top + PANEL[1]
    yield Text((left, top - 8.0), scenario, 11.0, INK, bold=True)
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * PANEL[1]
        yield Line((left, y), (left + PANEL[0], y), FAINT, 0.5)
        yield Text((left - 6.0, y + 3.5), f"{share * most:.0f}", 9.0, SOFT, "end")
    for rate in RATES:
        yield Text((_across(left, rate), bottom + 14.0), f"{rate:g}", 9.0, SOFT, "middle")
    for one in curves:
        points = tuple((_across(left, rate), bottom - delay / most * PANEL[1]) for rate, delay in one.points)
        yield Polyline(points, INKS[one.tool], 1.8)
        yield from (Dot(point, 2.6, INKS[one.tool]) for point in points)


def _across(left: float, rate: float) -> float:
    span = np.log(RATES[-1] / RATES[0])
    return left + float(np.log(max(rate, RATES[0]) / RATES[0]) / span) * PANEL[0]
