"""From the readings of a study's images to the study's answer, with the pictures that explain it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.explanation import hottest_box
from models.preparation import Floats, to_picture
from models.runtime import LoadedModel
from radloop.domain.enums import ResultStatus
from radloop.domain.records import InferenceAnswer, Run, TargetScore
from radloop.render import heat, to_png
from serving.inference.looking import Eye, Pixels, Unseen, View
from serving.inference.reader import Reading

ROUNDING = 4
"""Decimals of a probability: the same image in another batch differs by about 2e-7, so they are equal after this."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """A stored picture: its key, its size (width, height), and the shape (rows, columns) of the image behind it."""

    key: str
    size: tuple[int, int]
    source: tuple[int, int]


def answered(
    model: LoadedModel, eye: Eye, readings: Sequence[Reading], unseen: Sequence[Unseen], run: Run
) -> InferenceAnswer:
    """The answer of a study of which at least one image was read; writes its pictures to the store. Blocks.

    Aggregation over images: each target's highest probability. A finding that fills one slice of thirty is a finding.

    Raises:
        Transient: the store cannot take the pictures.
    """
    deciding = {
        target.name: max(readings, key=lambda reading: reading.probabilities[row])
        for row, target in enumerate(model.spec.targets)
    }
    pictures = _pictures(eye, deciding.values())
    scores = tuple(
        _score(eye, name, row, reading, pictures[reading.view.reference.key])
        for row, (name, reading) in enumerate(deciding.items())
    )
    return InferenceAnswer(
        model=model.spec.name,
        digest=model.spec.digest,
        status=ResultStatus.OK,
        reason=None,
        scores=scores,
        run=run,
        quality=_quality([reading.view for reading in readings], unseen),
    )


def unanswered(model: LoadedModel, unseen: Sequence[Unseen], run: Run) -> InferenceAnswer:
    """The answer of a study of which no image could be read.

    NOT_APPLICABLE where the card excludes every image; UNAVAILABLE where one that it allows could not be decoded.
    """
    undecoded = [one for one in unseen if not one.outside]
    return InferenceAnswer(
        model=model.spec.name,
        digest=model.spec.digest,
        status=ResultStatus.UNAVAILABLE if undecoded else ResultStatus.NOT_APPLICABLE,
        reason=(undecoded or unseen)[0].reason,
        scores=(),
        run=run,
    )


def _score(eye: Eye, name: str, row: int, reading: Reading, picture: _Picture) -> TargetScore:
    cam: Floats = reading.maps[row]
    return TargetScore(
        target=name,
        probability=round(float(reading.probabilities[row]), ROUNDING),
        instance_id=reading.view.reference.id,
        picture_key=picture.key,
        heatmap_key=eye.store.put(heat(cam, picture.size)).key,
        box=hottest_box(cam, picture.source),
    )


def _pictures(eye: Eye, readings: Iterable[Reading]) -> dict[str, _Picture]:
    views = {reading.view.reference.key: reading.view for reading in readings}
    return {key: _picture(eye, view.pixels or eye.pixels(view.reference)) for key, view in views.items()}


def _picture(eye: Eye, pixels: Pixels) -> _Picture:
    grey = to_picture(pixels.values, pixels.facts)
    rows, columns = pixels.values.shape
    return _Picture(eye.store.put(to_png(grey)).key, (grey.shape[1], grey.shape[0]), (rows, columns))


def _quality(views: Sequence[View], unseen: Sequence[Unseen]) -> tuple[str, ...]:
    notes = [note for view in views for note in view.quality]
    if unseen:
        notes.append(f"{len(unseen)} of {len(views) + len(unseen)} images were not read")
    return tuple(dict.fromkeys(notes))
