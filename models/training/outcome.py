"""What came out of a training run, told honestly: in the bundle, and with every epoch in its record."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from importlib.metadata import version
from typing import cast

from models.evaluation import Interval, auc, bootstrap, brier, calibration_error, sensitivity, specificity
from models.training.crossval import Numbers, Operating
from models.training.material import Taught
from models.training.order import Order
from models.training.recipes import Recipe
from models.training.report import PACKAGES


@dataclass(frozen=True, slots=True)
class EpochMeasures:
    """One epoch (from 1) of one member: its mean training loss, and the AUC of its averaged weights on validation."""

    member: int
    epoch: int
    loss: float
    auc: float

    def as_json(self) -> list[float]:
        """For a checkpoint."""
        return [self.member, self.epoch, self.loss, self.auc]

    @classmethod
    def of(cls, item: object) -> "EpochMeasures":
        """From a checkpoint."""
        member, epoch, loss, area = cast("list[float]", item)
        return cls(int(member), int(epoch), float(loss), float(area))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The order, what was chosen on validation, what was measured there, and how many images there were."""

    order: Order
    final: Operating
    measures: Mapping[str, Interval]
    data: Mapping[str, int]

    @property
    def change(self) -> str:
        """The line of the change log."""
        start = f"retrained from {self.order.parent[:12]}" if self.order.parent else "trained from random weights"
        return f"{start} on cohort {self.order.cohort[:12]}"

    def as_json(self) -> Mapping[str, object]:
        """Plain JSON; numbers rounded to 1e-4. The same run gives the same bytes."""
        order = self.order
        return {
            "model": order.model,
            "version": order.version,
            "cohort": order.cohort,
            "parent": order.parent,
            "validation": {name: _interval(one) for name, one in self.measures.items()},
            "operating": {
                "threshold": self.final.threshold,
                "weights": list(self.final.weights),
                "slope": self.final.calibration.slope,
                "intercept": self.final.calibration.intercept,
            },
            "data": dict(self.data),
            "origin": {split: dict(counts) for split, counts in order.origin.items()},
            "run": self.run(),
        }

    def run(self) -> Mapping[str, object]:
        """What must be the same for the same weights."""
        order = self.order
        return {
            "seed": order.seed,
            "device": order.device,
            "precision": "float16 where it is safe, else float32" if order.device.startswith("cuda") else "float32",
            "threads": order.threads,
            "processes": order.processes,
            "code": order.code,
            "machine": platform.machine(),
            **{name: version(name) for name in PACKAGES},
            **{f"schedule.{name}": value for name, value in asdict(order.plan).items()},
        }


@dataclass(frozen=True, slots=True)
class History:
    """An outcome with every epoch that led to it: what an experiment tracker is told."""

    outcome: Outcome
    epochs: tuple[EpochMeasures, ...]

    def pack(self) -> bytes:
        """The record, as JSON."""
        record = {**self.outcome.as_json(), "epochs": [asdict(one) for one in self.epochs]}
        return (json.dumps(record, indent=1) + "\n").encode()


def measured(
    recipe: Recipe, held: Taught, ballots: Numbers, final: Operating, before: Numbers | None
) -> Mapping[str, Interval]:
    """On the images that also chose threshold and calibration: too kind to all but the AUC. The gates use others.

    `before` (N,) is what the parent says of the same images.
    """
    y, probabilities = held.labels, final.probabilities(ballots)
    calls = probabilities >= final.threshold
    measures = {
        "auc": lambda rows: auc(y[rows], probabilities[rows]),
        "sensitivity": lambda rows: sensitivity(y[rows], calls[rows]),
        "specificity": lambda rows: specificity(y[rows], calls[rows]),
        "brier": lambda rows: brier(y[rows], probabilities[rows]),
        "ece": lambda rows: calibration_error(y[rows], probabilities[rows]),
    }
    if before is not None:
        measures["auc_of_parent"] = lambda rows: auc(y[rows], before[rows])
    return {name: bootstrap(measure, held.groups, seed=recipe.seed) for name, measure in measures.items()}


def texts(outcome: Outcome) -> Mapping[str, str]:
    """The documents of the bundle by path."""
    metrics = json.dumps(outcome.as_json(), indent=1) + "\n"
    return {"docs/card.md": card(outcome), "docs/metrics.json": metrics}


def card(outcome: Outcome) -> str:
    """The model card of a retrained version."""
    text = (resources.files("models.training") / "cards" / "retrained.md").read_text("utf-8")
    order, recipe = outcome.order, outcome.order.recipe
    rules = recipe.applicability
    return text.format(
        name=order.model,
        version=order.version,
        title=recipe.title,
        change=outcome.change,
        cohort=order.cohort,
        parent=order.parent or "none: random weights",
        target=recipe.target.name,
        code=f"{recipe.target.code.scheme} {recipe.target.code.value}",
        threshold=f"{outcome.final.threshold:.4f}",
        escalate_at=recipe.target.escalate_at,
        escalates_to=recipe.target.escalates_to.value,
        modalities=" or ".join(rules.modalities),
        body_parts=", ".join(rules.body_parts),
        views=" or ".join(rules.views) or "any",
        side=recipe.input_size,
        members=recipe.members,
        origin="\n".join(_origin(order.origin)),
        measures="\n".join(f"| {name} | {one} |" for name, one in outcome.measures.items()),
        run="\n".join(f"| {name} | {value} |" for name, value in outcome.run().items()),
        **outcome.data,
    )


def _origin(origin: Mapping[str, Mapping[str, int]]) -> list[str]:
    return [
        f"| {split} | {place} | {count} |"
        for split, places in origin.items()
        for place, count in sorted(places.items())
    ]


def _interval(one: Interval) -> Mapping[str, float]:
    return {"value": round(one.value, 4), "low": round(one.low, 4), "high": round(one.high, 4)}
