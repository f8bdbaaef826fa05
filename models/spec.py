"""What a model is, as its bundle says: targets, applicability, calibration, and the table of urgency.

Standard library and `radloop.domain` only, so that the runner and the gateway may ask the catalog
without loading torch.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from radloop.domain.enums import Qualification, Urgency
from radloop.domain.errors import IntegrityError
from radloop.domain.records import Acquisition, Code

MANIFEST = "manifest.json"
CARD = "configs/card.json"
Json = Mapping[str, object]


class EscalationOverride(Protocol):
    """A site's own rule for one finding; `radloop.settings.Escalation` fits."""

    @property
    def escalate_at(self) -> float:
        """The probability from which the finding escalates, 0..1."""
        ...

    @property
    def urgency(self) -> Urgency:
        """What it escalates to."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """One thing that the model looks for. `threshold` and `escalate_at` are probabilities, 0..1.

    `paired` says that the location is a paired organ, so that a side can be told.
    """

    name: str
    code: Code
    threshold: float
    escalate_at: float
    escalates_to: Urgency
    location: Code | None
    paired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicability:
    """The images a model may read, by their headers. An empty tuple allows anything.

    Body part and view are often missing in real data, so their absence passes; modality must be there.
    """

    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    views: tuple[str, ...]
    photometric: tuple[str, ...]
    min_rows: int
    min_columns: int
    plane: str = ""
    """AXIAL, or '' for any: checked where the header carries an image orientation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Platt scaling (Platt 1999): probability = 1 / (1 + exp(-(slope * logit + intercept)))."""

    method: str
    slope: float
    intercept: float

    def probability(self, logit: float) -> float:
        """The calibrated probability of one raw logit, 0..1."""
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, self.slope * logit + self.intercept))))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One model version as its signed bundle describes it. `digest`: SHA-256 (hex) of the manifest's bytes.

    `window`: centre and width in Hounsfield units of what the network sees of a CT; None: grey by percentiles.
    """

    name: str
    version: str
    title: str
    qualification: Qualification
    targets: tuple[TargetSpec, ...]
    applicability: Applicability
    calibration: Calibration
    input_size: int
    window: tuple[float, float] | None = None
    bundle: Path
    digest: str

    @property
    def modalities(self) -> tuple[str, ...]:
        """The DICOM modalities the model reads."""
        return self.applicability.modalities

    @property
    def body_parts(self) -> tuple[str, ...]:
        """The values of Body Part Examined (0018,0015) the model reads."""
        return self.applicability.body_parts

    def target(self, name: str) -> TargetSpec:
        """The target of that name.

        Raises:
            KeyError: the model has no such target.
        """
        return {target.name: target for target in self.targets}[name]

    def readable(self, acquisitions: Sequence[Acquisition]) -> tuple[Acquisition, ...]:
        """The images of a study that this model may read, in the order given."""
        return tuple(a for a in acquisitions if self.unreadable(a) is None)

    def inapplicable(self, acquisitions: Sequence[Acquisition]) -> str | None:
        """Why the model may read no image of this study, or None where it may read at least one.

        The reason names what the card asks for, never what a person wrote into the header.
        """
        reasons = [self.unreadable(a) for a in acquisitions]
        if not reasons:
            return "the study has no image"
        return None if None in reasons else max(cast("list[str]", reasons), key=_specific)

    def unreadable(self, acquisition: Acquisition) -> str | None:
        """Why the model may not read this image, or None where it may."""
        card = self.applicability
        checks = (
            (_allowed(acquisition.modality, card.modalities), f"modality is not {_either(card.modalities)}"),
            (_passes(acquisition.body_part, card.body_parts), f"body part is not {_either(card.body_parts)}"),
            (_passes(acquisition.view, card.views), f"view is not {_either(card.views)}"),
            (_allowed(acquisition.photometric, card.photometric), "the image is not a greyscale image"),
            (acquisition.frames == 1, "the image has more than one frame"),
            (_at_least(acquisition.rows, card.min_rows), f"the image has fewer than {card.min_rows} rows"),
            (_at_least(acquisition.columns, card.min_columns), f"the image has fewer than {card.min_columns} columns"),
        )
        return next((reason for fine, reason in checks if not fine), None)

    def urgency_of(
        self, target: str, probability: float, overrides: Mapping[str, EscalationOverride] | None = None
    ) -> Urgency:
        """The card's table finding -> urgency: from `escalate_at` on it escalates, below it is ROUTINE.

        `overrides` is the site's own table for this model, by target name.
        """
        card = self.target(target)
        override = (overrides or {}).get(target)
        at, to = (override.escalate_at, override.urgency) if override else (card.escalate_at, card.escalates_to)
        return to if probability >= at else Urgency.ROUTINE


def read_spec(bundle: Path) -> ModelSpec:
    """The spec of the bundle in that folder.

    Raises:
        IntegrityError: the card or the manifest is missing, or not what it should be.
    """
    try:
        files = {path: (bundle / path).read_bytes() for path in (CARD, MANIFEST)}
    except OSError as error:
        raise IntegrityError("the bundle has no card or no manifest") from error
    return parse_spec(files, bundle)


def parse_spec(files: Mapping[str, bytes], bundle: Path) -> ModelSpec:
    """The spec in a bundle's files (path to bytes), as `models.bundles.contents` returns them once checked.

    Raises:
        IntegrityError: the card or the manifest is missing, or not what it should be.
    """
    try:
        digest = hashlib.sha256(files[MANIFEST]).hexdigest()
        return _spec(json.loads(files[CARD]), bundle, digest)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("the bundle has no readable card or manifest") from error


def _spec(card: Json, bundle: Path, digest: str) -> ModelSpec:
    return ModelSpec(
        name=str(card["name"]),
        version=str(card["version"]),
        title=str(card["title"]),
        qualification=Qualification(str(card["qualification"])),
        targets=tuple(_target(item) for item in cast("Sequence[Json]", card["targets"])),
        applicability=_applicability(cast("Json", card["applicability"])),
        calibration=_calibration(cast("Json", card["calibration"])),
        input_size=int(cast("int", card["input_size"])),
        window=_window(card.get("window")),
        bundle=bundle,
        digest=digest,
    )


def _window(item: object) -> tuple[float, float] | None:
    if item is None:
        return None
    centre, width = map(_number, cast("Sequence[object]", item))
    return centre, width


def _target(item: Json) -> TargetSpec:
    location = cast("Json | None", item["location"])
    return TargetSpec(
        name=str(item["name"]),
        code=_code(cast("Json", item["code"])),
        threshold=_number(item["threshold"]),
        escalate_at=_number(item["escalate_at"]),
        escalates_to=Urgency(str(item["escalates_to"])),
        location=None if location is None else _code(location),
        paired=item["paired"] is True,
    )


def _applicability(item: Json) -> Applicability:
    return Applicability(
        modalities=_words(item["modalities"]),
        body_parts=_words(item["body_parts"]),
        views=_words(item["views"]),
        photometric=_words(item["photometric"]),
        min_rows=int(_number(item["min_rows"])),
        min_columns=int(_number(item["min_columns"])),
        plane=str(item["plane"]),
    )


def _calibration(item: Json) -> Calibration:
    return Calibration(method=str(item["method"]), slope=_number(item["slope"]), intercept=_number(item["intercept"]))


def _code(item: Json) -> Code:
    return Code(str(item["value"]), str(item["scheme"]), str(item["meaning"]))


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(word) for word in cast("Sequence[object]", value))


def _number(value: object) -> float:
    return float(cast("float", value))


def _allowed(value: str, allowed: tuple[str, ...]) -> bool:
    return not allowed or value.strip().upper() in allowed


def _passes(value: str, allowed: tuple[str, ...]) -> bool:
    return not value.strip() or _allowed(value, allowed)


def _at_least(value: int | None, least: int) -> bool:
    return value is not None and value >= least


def _either(words: tuple[str, ...]) -> str:
    return " or ".join(words)


def _specific(reason: str) -> int:
    """A reason about the view tells more than one about the modality: the later check ranks higher."""
    order = ("modality", "body part", "view", "greyscale", "frame", "rows", "columns")
    return next((rank for rank, word in enumerate(order) if word in reason), 0)
