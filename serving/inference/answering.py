"""From the readings of a study's images to the study's answer, with the pictures that explain it."""

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import astuple

from models.explanation import hottest_box
from models.preparation import Floats
from models.runtime import LoadedModel
from radloop.domain.acquired import Seen
from radloop.domain.enums import ResultStatus
from radloop.domain.records import InferenceAnswer, Run, TargetScore
from radloop.render import heat
from serving.inference.looking import Eye, Picture, Unseen, View
from serving.inference.reader import Reading

ROUNDING = 4
"""Decimals of a probability: the same image in another batch differs by about 2e-7, so they are equal after this."""


def answered(
    model: LoadedModel,
    eye: Eye,
    readings: Sequence[Reading],
    unseen: Sequence[Unseen],
    run: Run,
) -> InferenceAnswer:
    """The answer of a study of which at least one image was read; writes its pictures to the store. Blocks.

    Aggregation over images: each target's highest probability. A finding that fills one slice of thirty is a finding.

    Raises:
        Transient: the store cannot take the pictures.
        Rejected, IntegrityError: an image that decides could not be decoded again.
    """
    deciding = {
        target.name: max(readings, key=lambda reading: reading.probabilities[row])
        for row, target in enumerate(model.spec.targets)
    }
    shown = {reading.view.reference.key: reading.view for reading in deciding.values()}
    # Heatmaps are drawn while the pictures are painted and stored.
    pictures = {key: eye.picture(view) for key, view in shown.items()}
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
        seen=tuple(_seen(readings)),
    )


def _seen(readings: Iterable[Reading]) -> Iterator[Seen]:
    """What each image that was read is like, for the data checks."""
    for reading in readings:
        facts, embedding = reading.view.facts, reading.embedding.tolist()
        # JSON has no number that is none: an answer shall not fail for it.
        if facts is not None and all(map(math.isfinite, (*astuple(facts), *embedding))):
            yield Seen(instance_id=reading.view.reference.id, facts=facts, embedding=tuple(embedding))


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


def _score(eye: Eye, name: str, row: int, reading: Reading, painting: "Future[Picture]") -> TargetScore:
    cam: Floats = reading.maps[row]
    heatmap = eye.store.put_parts([heat(cam)])
    picture = painting.result()
    return TargetScore(
        target=name,
        probability=round(float(reading.probabilities[row]), ROUNDING),
        instance_id=reading.view.reference.id,
        picture_key=picture.key,
        heatmap_key=heatmap.key,
        box=hottest_box(cam, picture.source),
    )


def _quality(views: Sequence[View], unseen: Sequence[Unseen]) -> tuple[str, ...]:
    notes = [note for view in views for note in view.quality]
    if unseen:
        notes.append(f"{len(unseen)} of {len(views) + len(unseen)} images were not read")
    return tuple(dict.fromkeys(notes))
