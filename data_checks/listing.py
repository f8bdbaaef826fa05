"""Every check there is, wherever it runs: what `radloop checks` prints."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from data_checks.at_door import DoorCheck, Stage, door
from data_checks.catalog import catalog
from data_checks.check import Check, ClosedSet, Present, Range, Rule
from data_checks.rules import IDENTITY, Rules

DOOR: Final = "door"
WINDOW: Final = "window"
TRAINING: Final = "training"
# Check, suite, columns, what it guards against; each site and device is held against its own part of the baseline.
JUDGED: Final = (
    ("combinations", "acquisition", IDENTITY, "a scanner, software, kernel or combination never seen"),
    ("protocol", "protocol", ("every setting of an image",), "a protocol that changed (KS, chi-square)"),
    ("scores", "scores", ("score_*",), "the model's scores moving (KS)"),
    ("embeddings", "embeddings", ("embedding",), "images that look otherwise to the model (MMD)"),
    ("agreement", "agreement", ("disagree",), "readers disagreeing more than they did (CUSUM)"),
)
_WHEN: Final = {
    Stage.HEADER: "header, before inference",
    Stage.PIXELS: "pixels, after inference",
    Stage.EMBEDDING: "embedding, after inference",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One check in words. `place` is where it runs (door, window, training), `when` at which point there."""

    name: str
    place: str
    when: str
    columns: tuple[str, ...]
    guards: str
    threshold: str


UNJUDGED: Final = (
    Listed(
        name="deliveries",
        place=WINDOW,
        when="suite deliveries",
        columns=("state", "accepted_at", "queued_at"),
        guards="answers that arrive late or not at all",
        threshold="the site's own limits",
    ),
    Listed(
        name="labels",
        place=TRAINING,
        when="before retraining",
        columns=("cohort",),
        guards="a cohort that is damaged, unbalanced, leaks patients between its parts, or is unlike live traffic",
        threshold="the change plan's",
    ),
    Listed(
        name="drift",
        place=TRAINING,
        when="gate before promotion",
        columns=("alarms",),
        guards="promotion on ground that has moved",
        threshold="any open alarm",
    ),
)


def listing() -> tuple[Listed, ...]:
    """Those at the door in the order in which they are asked, those over windows by name, whole suites."""
    return (*map(_at_door, door().values()), *map(_over_windows, catalog().values()), *_suites(Rules()))


def _suites(rules: Rules) -> Iterator[Listed]:
    """Suites that judge many columns by one rule each: `data_checks.judging`, `data_checks.suites`, cohort checks."""
    drawn = f"false-discovery rate {rules.rate:g} over all strata, from {rules.least} affected rows on"
    for name, suite, columns, guards in JUDGED:
        yield Listed(name=name, place=WINDOW, when=f"suite {suite}", columns=columns, guards=guards, threshold=drawn)
    yield from UNJUDGED


def _at_door(check: DoorCheck) -> Listed:
    return Listed(
        name=check.name,
        place=DOOR,
        when=_WHEN[check.stage],
        columns=check.columns,
        guards=check.guards,
        threshold=check.threshold,
    )


def _over_windows(check: Check) -> Listed:
    scope = f" ({', '.join(check.modalities)})" if check.modalities else ""
    return Listed(
        name=check.name,
        place=WINDOW,
        when="suite acquisition",
        columns=(check.column,),
        guards=f"{check.promise}{scope}",
        threshold="; ".join(_threshold(check.rule, check.least)),
    )


def _threshold(rule: Rule, least: int) -> Iterator[str]:
    match rule:
        case ClosedSet(values=values):
            yield f"one of {len(values)} values"
        case Range(low=low, high=high):
            yield f"{'any' if low is None else f'{low:g}'} to {'any' if high is None else f'{high:g}'}"
        case Present(share=share):
            yield f"there in {share:.0%} of the rows"
    if least > 1:
        yield f"from {least} rows on"
