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
    width_of,
)  # fmt: skip
from radloop.render.svg import to_svg
from serving.cli.simulate_rows import ODD
from tests.drift.calibration import PER, FalseAlarms
from tests.drift.streams import STEP, WARM, Plan
from tests.drift.variants import BEST_THERE, LEFT_OUT

INKS = {"radloop": BLUE, "evidently": ORANGE, "alibi-detect": GREEN}
PANEL, GAP, EDGE, TOP, BELOW = (250.0, 150.0), 52.0, 44.0, 84.0, 54.0


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
    """The mean delay of a tool in one scenario: points are false alarms per 5,000 studies, as counted, and delay."""

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
    cores: int


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
        "**Same false-alarm rate.** Every threshold is set on the same streams without a change: the lowest at which "
        f"even the upper end of the exact 95 % interval of its false alarms is at most {plan.most:g} in {PER:,} "
        "studies. evidently and alibi-detect are represented by the variant of theirs that does best over all changes, "
        "chosen with these results in hand. They are given what the judge takes for itself: the latest 50 studies of "
        "each device apart, or the latest 200 of all; rare protocol names pooled; statistics combined."
    )
    yield from _filled(" ".join(_claims(outcome)))
    yield from _best_table(outcome)
    yield ""
    yield from _filled(
        "A run without an alarm counts with one look more than it had. In brackets: radloop less the other in studies, "
        "the mean over the same streams with its 95 % interval (bootstrap over runs); faster and slower where that "
        f"interval is all on one side of 0. False alarms are counted in {outcome.best['radloop'].false.studies:,} "
        "studies (a stream is over at its first), per 5,000, with their 95 % interval."
    )
    yield from ("![Mean delay against false alarms, for each change](drift.svg)", "")
    yield from _filled(
        f"The judge's own default (a false-discovery rate of {outcome.default_rate:g}) alarmed "
        f"{_rate(outcome.default)} times in {PER:,} studies on the streams without a change."
    )
    yield from ("## All variants", "")
    yield from _all_table(outcome)
    yield ""
    yield from _filled(" ".join(_others(outcome)))
    yield from ("## What changes", "", "| change | at | what |", "|---|---|---|")
    yield from (f"| {one.name} | {one.station} | {one.words} |" for one in CHANGES.values())
    yield from ("", f"Measured in {outcome.minutes:.0f} minutes on {outcome.cores} cores.")


def _claims(outcome: Outcome) -> Iterator[str]:
    """What the table says, counted."""
    for tool in outcome.best:
        if tool != "radloop":
            found = [verdict(low, high) for _, low, high in apart(outcome, tool).values()]
            counts = [f"{word} on {found.count(word)}" for word in ("faster", "no worse", "slower") if word in found]
            yield f"Beside {tool}, radloop is {', '.join(counts)} of {len(found)} changes."


def apart(outcome: Outcome, tool: str) -> dict[str, tuple[float, float, float]]:
    """By scenario, the best of ours less the best of theirs: mean, and its interval."""
    ours, other = outcome.best["radloop"].delays, outcome.best[tool].delays
    return {scenario: difference(ours[scenario], other[scenario]) for scenario in CHANGES}


def _others(outcome: Outcome) -> Iterator[str]:
    """Which of their variants are not in the table, and how those that are were computed."""
    gone = [f"`{name}` ({LEFT_OUT[name]})" for name in LEFT_OUT if name not in {lane.name for lane in outcome.lanes}]
    if gone:
        best = " and ".join(f"{delay} of the best of {tool}" for tool, delay in BEST_THERE.items())
        yield (
            f"Left out, because they were far behind in a short run (`python -m tests.drift --size middle "
            f"--all-variants`; there their mean delays were, beside {best}): {', '.join(gone)}."
        )
    yield (
        f"A delay of {outcome.plan.studies + STEP} everywhere is that of a variant for which no threshold keeps the "
        "rate: chi-square's p is 0 for a single odd study. MMDDriftOnline of alibi-detect is not among them, because "
        "it takes five seconds of set-up for each device and reference; `alibi mmd short` gives its statistic the same "
        "short window. The statistics are computed by the packages themselves. Only scipy's KS test, which both call, "
        "goes without its checks of arguments and keeps p by its arguments; each process compares what comes out with "
        "and without."
    )


def _filled(text: str) -> Iterator[str]:
    yield from (*textwrap.wrap(text, 118, break_on_hyphens=False), "")


def _best_table(outcome: Outcome) -> Iterator[str]:
    others = [tool for tool in outcome.best if tool != "radloop"]
    heads = [f"{tool} ({outcome.best[tool].name})" for tool in others]
    yield "| mean delay, studies | radloop | " + " | ".join(f"{head} | radloop is" for head in heads) + " |"
    yield "|---|---|" + "---|---|" * len(others)
    ours, differences = outcome.best["radloop"], {tool: apart(outcome, tool) for tool in others}
    for scenario in CHANGES:
        cells = []
        for tool in others:
            mean, low, high = differences[tool][scenario]
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
    width, height = EDGE + 3 * (PANEL[0] + GAP) - GAP + 24, TOP + 2 * (PANEL[1] + BELOW) - 14
    across = _Across([rate for one in outcome.curves for rate, _ in one.points])
    shapes: list[Shape] = [Rect(0, 0, width, height, PAPER), *_legend(outcome, width)]
    for place, scenario in enumerate(CHANGES):
        left, top = EDGE + (place % 3) * (PANEL[0] + GAP), TOP + (place // 3) * (PANEL[1] + BELOW)
        shapes += list(_panel(outcome, scenario, across, (left, top)))
    return Drawing(width, height, "Mean delay in studies against false alarms per 5,000 studies", tuple(shapes))


def _legend(outcome: Outcome, width: float) -> Iterator[Shape]:
    left = EDGE
    for tool, lane in outcome.best.items():
        said = tool if lane.name == tool else f"{tool} ({lane.name.partition(' ')[2]})"
        yield Line((left, 20.0), (left + 22, 20.0), INKS[tool], 1.8)
        yield from _point((left + 11, 20.0), INKS[tool], chosen=False)
        yield Text((left + 28, 24.0), said, 11.0, INK)
        left += 52 + width_of(said, 11.0)
    yield from _point((left + 4, 20.0), SOFT, chosen=True)
    yield Text((left + 14, 24.0), "as in the table", 11.0, SOFT)
    yield Text((EDGE, 44.0), "Up: mean delay in studies. Across: false alarms counted per 5,000 studies.", 10.0, SOFT)
    yield Text((width - 24, 44.0), "Dashed: one false alarm in 5,000 studies.", 10.0, SOFT, "end")


def _panel(outcome: Outcome, scenario: str, across: "_Across", corner: tuple[float, float]) -> Iterator[Shape]:
    left, top = corner
    bottom = top + PANEL[1]
    curves = [one for one in outcome.curves if one.scenario == scenario]
    ticks = _ticks(max([delay for one in curves for _, delay in one.points] or [1.0]))
    yield Text((left, top - 10.0), scenario, 12.0, INK, bold=True)
    for tick in ticks:
        y = bottom - tick / ticks[-1] * PANEL[1]
        yield Line((left, y), (left + PANEL[0], y), FAINT, 0.5)
        yield Text((left - 6.0, y + 3.5), f"{tick:g}", 9.5, SOFT, "end")
    for rate in across.ticks:
        x = left + across.share(rate) * PANEL[0]
        yield Line((x, bottom), (x, bottom + 3), SOFT, 0.7)
        yield Text((x, bottom + 15.0), f"{rate:g}", 9.5, SOFT, "middle")
    if across.ticks[0] <= 1.0 <= across.ticks[-1]:
        x = left + across.share(1.0) * PANEL[0]
        yield Line((x, top), (x, bottom), SOFT, 0.7, dashed=True)
    for one in reversed(curves):
        points = [(left + across.share(r) * PANEL[0], bottom - d / ticks[-1] * PANEL[1]) for r, d in one.points]
        yield Polyline(tuple(points), INKS[one.tool], 1.8)
        chosen = outcome.best[one.tool].false.rate
        for point, (rate, _) in zip(points, one.points, strict=True):
            yield from _point(point, INKS[one.tool], chosen=rate == chosen)


def _point(at: tuple[float, float], ink: str, *, chosen: bool) -> Iterator[Shape]:
    yield Dot(at, 4.6 if chosen else 2.6, ink)
    if chosen:
        yield Dot(at, 2.8, PAPER)


class _Across:
    """The scale of rates: logarithmic, from one round number to another."""

    def __init__(self, rates: Sequence[float]) -> None:
        round_ones = [step * 10.0**power for power in range(-3, 4) for step in (1, 2, 5)]
        low, high = min(rates, default=1.0), max(rates, default=1.0)
        first = max((one for one in round_ones if one <= low), default=low)
        last = min((one for one in round_ones if one >= high and one > first), default=2 * high)
        self.ticks = [one for one in round_ones if first <= one <= last]

    def share(self, rate: float) -> float:
        """Where a rate lies, from 0 to 1."""
        return float(np.log(rate / self.ticks[0]) / np.log(self.ticks[-1] / self.ticks[0]))


def _ticks(most: float) -> list[float]:
    """From 0 to above the largest delay, in four or five round steps."""
    step = next(one * 10.0**power for power in range(4) for one in (5, 10, 20, 25) if one * 10.0**power * 5 >= most)
    return [step * number for number in range(int(np.ceil(most / step)) + 1)]
