"""From images and a parent's weights to a bundle: members one by one, then threshold and calibration, then the card.

Every member keeps a checkpoint per epoch. A kill at any moment and another start give the same bytes as a run that
nobody disturbed, since every epoch draws its random numbers anew from (seed, member, epoch, process).
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Generator, Tensor, nn

from models.bundles import manifest, verify
from models.change_plan import read_plan
from models.evaluation import auc
from models.evaluation.measuring import GOLDEN, golden_record
from models.networks import Committee, build
from models.preparation import Floats
from models.runtime import load
from models.spec import MANIFEST
from models.training import checkpoint
from models.training.checkpoint import Checkpoint
from models.training.cohort import phantoms
from models.training.crossval import Numbers, operating
from models.training.fit import Fitted, course, fit_linear, members, votes, weights_of
from models.training.material import Material, Taught
from models.training.member import Draws, Lesson, Pupil
from models.training.order import Order
from models.training.outcome import EpochMeasures, History, Outcome, measured, texts
from models.training.recipes import Recipe
from models.training.team import ALONE, Team
from models.training.write import write_bundle
from radloop.domain.errors import IntegrityError, Rejected

State = Mapping[str, Tensor]
BUNDLE: Final = "bundle"
RECORD: Final = "record.json"
PROCESSES: Final = 1_000
"""Seeds of an epoch are this far apart: one per process."""


@dataclass(frozen=True, slots=True)
class Parent:
    """The verified committee that training begins with."""

    digest: str
    network: Committee

    def state(self, number: int) -> State:
        """The weights of one member, float32."""
        state: State = self.network.members[number].state_dict()
        return state

    def logits(self, images: Floats) -> Numbers:
        """What it says of images (N, S, S): (N,)."""
        with torch.inference_mode():
            return np.asarray(self.network(torch.from_numpy(images)[:, None])[:, 0].double().numpy())


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far a run is: an epoch (from 1) of a member (from 1, the linear one first) is done."""

    member: int
    members: int
    epoch: int
    epochs: int
    loss: float | None
    auc: float | None


Progress = Callable[[Step], None]


def read_parent(folder: Path, public: bytes, recipe: Recipe) -> Parent:
    """The parent's weights, once its files match its manifest and the site's key signed that.

    Raises:
        IntegrityError: tampered with, or not signed by this key.
        Rejected: it is another kind of committee than the recipe's, or sees other pixels: train from scratch.
    """
    digest, model = verify(folder, public), load(folder)
    if model.spec.digest != digest:
        raise IntegrityError("the parent changed while it was read")
    wanted = [_shape_of(build(one.network, one.arguments)) for one in members(recipe, (1.0,) * (recipe.members + 1))]
    if (model.spec.input_size, model.spec.window) != (recipe.input_size, recipe.window):
        raise Rejected("the champion sees another size or window than the recipe's: train from scratch")
    if [_shape_of(one) for one in model.network.members] != wanted:
        raise Rejected("the champion is another kind of network than the recipe's: train from scratch")
    return Parent(digest, model.network)


def retrain(
    order: Order,
    images: Material,
    parent: Parent | None,
    folder: Path,
    progress: Progress,
    team: Team = ALONE,
) -> Path | None:
    """Train, and write `folder/bundle` (unsigned) and `folder/record.json`; the bundle, or None in a helping process.

    Raises:
        Rejected: the parent is not the one that was ordered.
    """
    if (parent.digest if parent else None) != order.parent:
        raise Rejected("the parent is not the one that was ordered")
    run = _Run(order, images, parent, folder, progress, team)
    states = [run.linear(), *(run.residual(number) for number in range(1, order.recipe.members + 1))]
    return _concluded(run, states) if team.leads else None


class _Run:
    """One run: what its members share."""

    def __init__(
        self, order: Order, images: Material, parent: Parent | None, folder: Path, progress: Progress, team: Team
    ) -> None:
        self.order = order
        self.recipe = order.recipe
        self.images = images
        self.parent = parent
        self.folder = folder
        self.history: list[EpochMeasures] = []
        self._progress = progress
        self._team = team
        self._key = order.key
        self._lesson = _lesson(self.recipe, images.train, parent)
        self._networks = members(self.recipe, (1.0,) * (self.recipe.members + 1))
        self._held = torch.from_numpy(images.held.images)[:, None].to(team.device)

    def linear(self) -> State:
        """The linear member, fitted afresh: it has no rate to be slow with. Helping processes leave it to the first."""
        if not self._team.leads:
            return {}
        done = checkpoint.read(self._path(0), self._key)
        if done is None:
            state = fit_linear(self.recipe, self._networks[0], self._lesson, self.order.seed)
            done = Checkpoint(state, {})
            checkpoint.write(self._path(0), self._key, done)
        self._tell(0, 1, 1, None)
        return done.tensors

    def residual(self, number: int) -> State:
        """One convolutional member, from its newest checkpoint on."""
        pupil = self._pupil(number)
        done = checkpoint.read(self._path(number), self._key)
        epochs = list(_epochs(done))
        if done is not None:
            pupil.restore(done.tensors)
        for epoch in range(len(epochs), self.order.plan.epochs):
            loss = pupil.epoch(epoch, self._draws(number, epoch))
            if self._team.leads:
                epochs.append(EpochMeasures(number, epoch + 1, round(loss, 6), round(self._auc(pupil), 4)))
                kept = Checkpoint(pupil.tensors(), {"epochs": [one.as_json() for one in epochs]})
                checkpoint.write(self._path(number), self._key, kept)
                self._tell(number, epoch + 1, self.order.plan.epochs, epochs[-1])
        self.history += epochs
        return {name: tensor.detach().cpu() for name, tensor in pupil.state().items()}

    def _pupil(self, number: int) -> Pupil:
        torch.manual_seed(self.order.seed + number)
        network = build(self._networks[number].network, self._networks[number].arguments)
        if self.parent is not None:
            network.load_state_dict(dict(self.parent.state(number)))
        return Pupil(network, self._lesson, course(self.recipe), self._team)

    def _draws(self, number: int, epoch: int) -> Draws:
        """Seeds everything that is random in one epoch of one member in this process, drop-out included."""
        words = f"{self.order.seed} {number} {epoch}".encode()
        seed = int.from_bytes(hashlib.sha256(words).digest()[:6], "big") * PROCESSES
        own = seed + 1 + self._team.rank
        torch.manual_seed(own)
        return Draws(Generator().manual_seed(seed), Generator().manual_seed(own))

    def _auc(self, pupil: Pupil) -> float:
        network = pupil.averaged.eval()
        with torch.inference_mode():
            scores = network(self._held)[:, 0].float().cpu().numpy()
        return auc(self.images.held.labels, scores)

    def _path(self, number: int) -> Path:
        return self.folder / f"member-{number}.safetensors"

    def _tell(self, number: int, epoch: int, epochs: int, measures: EpochMeasures | None) -> None:
        self._progress(
            Step(
                member=number + 1,
                members=self.recipe.members + 1,
                epoch=epoch,
                epochs=epochs,
                loss=measures.loss if measures else None,
                auc=measures.auc if measures else None,
            )
        )


def _concluded(run: _Run, states: Sequence[State]) -> Path:
    """Choose on the held-back images, measure, and write the bundle, whole or not at all."""
    order, recipe, held = run.order, run.recipe, run.images.held
    weights = weights_of(Fitted(tuple(dict(state) for state in states)))
    ballots = votes(recipe, weights, held.images)
    final = operating(recipe, ballots, held.labels, held.counts.astype(np.float64))
    before = run.parent.logits(held.images) if run.parent else None
    outcome = Outcome(order, final, measured(recipe, held, ballots, final, before), _shape(run.images))
    draft = run.folder / f".{BUNDLE}"
    shutil.rmtree(draft, ignore_errors=True)
    write_bundle(draft, recipe, final, weights, texts(outcome), outcome.change)
    _record_golden(draft, order.model)
    checkpoint.place(run.folder / RECORD, History(outcome, tuple(run.history)).pack())
    home = run.folder / BUNDLE
    shutil.rmtree(home, ignore_errors=True)
    return draft.rename(home)


def _record_golden(draft: Path, name: str) -> None:
    """Put down what the bundle, as it lies there, says of the golden images: its gate and warming hold it to that."""
    record = golden_record(load(draft), read_plan(name).gates.golden)
    (draft / GOLDEN).write_text(record, "utf-8")
    (draft / MANIFEST).write_bytes(manifest(draft))


def _lesson(recipe: Recipe, train: Taught, parent: Parent | None) -> Lesson:
    """The images to learn from; from scratch, the recipe's phantoms too, as in the first training."""
    large, labels, counts = train.images, train.labels, train.counts
    if parent is None and recipe.phantoms:
        extra = phantoms(recipe)
        large, labels = np.concatenate([large, extra.large]), np.concatenate([labels, extra.labels])
        counts = np.concatenate([counts, np.ones(len(extra.labels), np.float32)])
    alike = bool((counts == counts[0]).all())
    weights = None if alike else torch.from_numpy(counts)
    return Lesson(torch.from_numpy(large)[:, None], torch.from_numpy(labels), weights)


def _shape(images: Material) -> dict[str, int]:
    parts = {"train": images.train, "validation": images.held}
    return {
        f"{name}_{what}": count
        for name, part in parts.items()
        for what, count in (
            ("images", len(part.labels)),
            ("positives", int(part.labels.sum())),
            ("groups", len(np.unique(part.groups))),
        )
    }


def _epochs(done: Checkpoint | None) -> list[EpochMeasures]:
    said = done.words.get("epochs", []) if done else []
    return [EpochMeasures.of(item) for item in said] if isinstance(said, list) else []


def _shape_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
