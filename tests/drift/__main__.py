"""How soon a change is found, beside evidently and alibi-detect: `python -m tests.drift [--size small]`."""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from data_checks.rules import Rules
from models.phantoms.scanners import CHANGES
from tests.drift import environment, told
from tests.drift.calibration import RATES, Combination, delays, false_alarms, threshold
from tests.drift.race import CORES, Scores, Track, make_pools, run
from tests.drift.streams import FULL, MIDDLE, NULL, SMALL, Plan, Run
from tests.drift.variants import KEPT, LEFT_OUT, RADLOOP, TOGETHER, TOOLS, tool_of

ROOT = Path(__file__).parents[2]
SIZES = {"full": FULL, "middle": MIDDLE, "small": SMALL}
STRICTEST = RATES[0]
"""The rate up to which streams are followed: a method stops at its first alarm at this one."""


def main() -> int:
    """Make the environment and the pools, run everything, write what came out; 1 where radloop is slower anywhere."""
    parser = argparse.ArgumentParser(prog="python -m tests.drift", description=__doc__)
    parser.add_argument("--size", choices=sorted(SIZES), default="full")
    parser.add_argument("--all-variants", action="store_true", help="of evidently and alibi-detect, the weak ones too")
    parser.add_argument("--out", type=Path, help="folder for drift.md and drift.svg; else docs/ where it is full")
    asked = parser.parse_args()
    python, plan = environment.ready(), SIZES[asked.size]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="radloop-drift-") as scratch, ProcessPoolExecutor(CORES) as workers:
        track = Track(
            plan=plan,
            folder=ROOT / "build" / "drift",
            scratch=Path(scratch),
            python=python,
            variants=(*KEPT, *(LEFT_OUT if asked.all_variants else ())),
        )
        _say(f"{plan.pool} phantoms for each scanner and state")
        make_pools(workers, track)
        null, changed = _raced(workers, track)
    outcome = _outcome(plan, null, changed, (time.monotonic() - started) / 60)
    folder = asked.out or (ROOT / "docs" if asked.size == "full" else ROOT / "build" / "drift")
    told.write(outcome, folder)
    for line in told.summary(outcome):
        print(line)  # noqa: T201 - a bench prints
    return int(asked.size == "full" and _is_slower(outcome))


def _raced(workers: ProcessPoolExecutor, track: Track) -> tuple[Scores, dict[str, Scores]]:
    plan = track.plan
    _say(f"{plan.null_runs} streams without a change")
    null = run(workers, track, [(NULL, number) for number in range(plan.null_runs)], {})
    _say(f"{plan.runs} streams for each change")
    runs = [(name, number) for name in CHANGES for number in range(plan.runs)]
    all_of = run(workers, track, runs, _stops(null, STRICTEST * plan.most))
    _say("done")
    return null, {name: _of(name, runs, all_of) for name in CHANGES}


def _of(name: str, runs: Sequence[Run], scores: Scores) -> Scores:
    mine = np.array([scenario == name for scenario, _ in runs])
    return {method: found[mine] for method, found in scores.items()}


def _stops(null: Scores, most: float) -> dict[str, float]:
    """Where each method may stop; what is part of a combination goes on until that one alarms."""
    stops = {method: threshold(scores, most) for method, scores in null.items()}
    for parts in TOGETHER.values():
        combined = Combination([null[part] for part in parts])
        limit = threshold(combined.score([null[part] for part in parts]), most)
        for part, needed in zip(parts, combined.limits(limit), strict=True):
            stops[part] = max(stops[part], needed)
    return stops


def _outcome(plan: Plan, null: Scores, changed: Mapping[str, Scores], minutes: float) -> told.Outcome:
    _join(null, changed)
    lanes = [_lane(name, null, changed, plan.most) for name in sorted(null, key=_order)]
    best = {tool: min((one for one in lanes if one.tool == tool), key=lambda one: one.mean) for tool in TOOLS.values()}
    default = Rules().rate
    return told.Outcome(
        plan=plan,
        lanes=lanes,
        best=best,
        curves=[_curve(one, scenario, null, changed, plan) for scenario in CHANGES for one in best.values()],
        default_rate=default,
        default=false_alarms(null[RADLOOP], -np.log10(default)),
        minutes=minutes,
        cores=CORES,
    )


def _join(null: Scores, changed: Mapping[str, Scores]) -> None:
    """Add the combinations."""
    for name, parts in TOGETHER.items():
        combined = Combination([null[part] for part in parts])
        for scores in (null, *changed.values()):
            scores[name] = combined.score([scores[part] for part in parts])


def _lane(name: str, null: Scores, changed: Mapping[str, Scores], most: float) -> told.Lane:
    limit = threshold(null[name], most)
    return told.Lane(
        tool=tool_of(name),
        name=name,
        false=false_alarms(null[name], limit),
        delays={scenario: delays(scores[name], limit) for scenario, scores in changed.items()},
    )


def _curve(lane: told.Lane, scenario: str, null: Scores, changed: Mapping[str, Scores], plan: Plan) -> told.Curve:
    """At each of `RATES`, as far as a threshold holds it."""
    limits = [threshold(null[lane.name], rate * plan.most) for rate in RATES]
    points = (
        (false_alarms(null[lane.name], limit).rate, float(delays(changed[scenario][lane.name], limit).mean()))
        for limit in limits if np.isfinite(limit)
    )  # fmt: skip
    return told.Curve(tool=lane.tool, scenario=scenario, points=tuple(point for point in points if point[0] > 0))


def _order(name: str) -> tuple[int, str]:
    return list(TOOLS.values()).index(tool_of(name)), name


def _is_slower(outcome: told.Outcome) -> bool:
    others = [tool for tool in outcome.best if tool != RADLOOP]
    return any(low > 0 for tool in others for _, low, _ in told.apart(outcome, tool).values())


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201 - a bench prints


if __name__ == "__main__":
    sys.exit(main())
