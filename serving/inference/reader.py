"""The one thread in which the models read, and the tickets under which prepared images wait for it.

BentoML's dispatcher collects what waits into batches. It passes tickets, numbers of this process, because what
it carries it also turns into JSON: 52 ms for one image, measured (MLOPS.md).
"""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from models.preparation import Floats
from models.runtime import LoadedModel
from serving.inference.looking import View


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What one image told. `probabilities` (targets,) and `maps` (targets, h, w), float32, 0..1; `embedding` (64,).

    `batch` is the number of images in the forward pass that it was part of.
    """

    view: View
    probabilities: Floats
    maps: Floats
    embedding: Floats
    batch: int


@dataclass(slots=True, eq=False)
class _Waiting:
    model: LoadedModel
    view: View
    reading: Reading | None = None


class Reader:
    """Reads batches of tickets, one batch at a time, always in the same thread: OpenMP keeps a team for each."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")
        self._waiting: dict[int, _Waiting] = {}
        self._numbers = itertools.count(1)

    def admit(self, model: LoadedModel, views: Sequence[View]) -> list[int]:
        """A ticket for each image; `collect` gives them back."""
        tickets = [next(self._numbers) for _ in views]
        self._waiting.update(zip(tickets, (_Waiting(model, view) for view in views), strict=True))
        return tickets

    def read(self, tickets: Sequence[int]) -> list[bool]:
        """Read the images of these tickets, a forward pass per model; True for each that was read.

        A ticket whose owner has given up is passed over.
        """
        waiting = {ticket: item for ticket in tickets if (item := self._waiting.get(ticket))}
        for model in {id(item.model): item.model for item in waiting.values()}.values():
            _forward(model, [item for item in waiting.values() if item.model is model])
        return [ticket in waiting for ticket in tickets]

    def collect(self, tickets: Sequence[int]) -> list[Reading | None]:
        """Give the tickets back and take what was read, in their order; None for what was not."""
        return [self._waiting.pop(ticket).reading for ticket in tickets]


def _forward(model: LoadedModel, items: Sequence[_Waiting]) -> None:
    batch = torch.stack([item.view.tensor for item in items])
    read = model.read(batch)
    for row, item in enumerate(items):
        item.reading = Reading(item.view, read.probabilities[row], read.maps[row], read.embeddings[row], len(items))
