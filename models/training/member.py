"""One convolutional member under training: an epoch at a time, with everything that the next epoch needs.

The loop is our own: MONAI's `SupervisedTrainer` needs pytorch-ignite, which is not among our packages. Networks and
determinism are MONAI's.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from models.training.augment import mixed, view
from models.training.recipes import Schedule, Strength
from models.training.team import ALONE, Team

SHARPEST: Final = 2.0
"""Gradients longer than this are cut: one odd batch must not undo an epoch."""
MOMENTS: Final = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW keeps of each parameter."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What is learned from: `large` (N, 1, L, L) 0..1, `labels` (N,) 0 or 1, `weights` (N,) or None: all alike."""

    large: Tensor
    labels: Tensor
    weights: Tensor | None = None

    def on(self, device: torch.device) -> "Lesson":
        """The same on another device."""
        weights = None if self.weights is None else self.weights.to(device)
        return Lesson(self.large.to(device), self.labels.to(device), weights)

    @property
    def balance(self) -> float:
        """How much more a positive counts than a negative, so that both labels count alike."""
        counts = torch.ones_like(self.labels) if self.weights is None else self.weights
        return float((counts * (1 - self.labels)).sum() / (counts * self.labels).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How it is learned: the schedule, the side of the views in pixels, and how far they may go."""

    plan: Schedule
    side: int
    strength: Strength


@dataclass(frozen=True, slots=True)
class Draws:
    """Random numbers: which images make a batch (the same in every process), and how each is seen."""

    order: Generator
    views: Generator


class Pupil:
    """A network while it learns. The same start, lesson, course and draws give the same weights, bit for bit."""

    def __init__(self, network: nn.Module, lesson: Lesson, course: Course, team: Team = ALONE) -> None:
        self.network = network.train().to(team.device)
        # torch documents this form of `to`, its types lack it.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network)
        # The tensors of both stay the same ones for good: `load_state_dict` copies into them.
        self._pairs = list(zip(self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True))
        self._lesson = lesson.on(team.device)
        self._balance = lesson.balance
        self._course = course
        self._team = team
        self._optimiser = _optimiser(self.network, course.plan)
        self._mixed_precision = team.device.type == "cuda"
        self._scaler = torch.amp.GradScaler("cuda", enabled=self._mixed_precision)

    def epoch(self, number: int, draws: Draws) -> float:
        """Go once through the lesson, for the time `number` (from 0); the mean loss."""
        plan, count = self._course.plan, len(self._lesson.labels)
        batches = count // min(plan.batch, count)
        total = torch.zeros((), device=self._team.device)
        order = torch.randperm(count, generator=draws.order)
        for step, chosen in enumerate(order[: batches * (count // batches)].chunk(batches)):
            done = number * batches + step
            _set_rate(self._optimiser, plan, done / (plan.epochs * batches))
            total += self._learn(chosen, draws.views)
            _average(self._pairs, min(plan.average, (1 + done) / (10 + done)))
        for network in (self.network, self.averaged):
            self._team.average_statistics(network)
        return float(total / batches)

    def state(self) -> dict[str, Tensor]:
        """The averaged weights: what is shipped."""
        state: dict[str, Tensor] = self.averaged.state_dict()
        return state

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the next epoch needs apart from its draws."""
        groups = {"network": self.network.state_dict(), "averaged": self.averaged.state_dict()}
        kept = {f"{group}.{name}": tensor for group, state in groups.items() for name, tensor in state.items()}
        for index, parameter in enumerate(self.network.parameters()):
            kept |= {f"{name}.{index}": self._optimiser.state[parameter][name] for name in MOMENTS}
        scale = self._scaler.state_dict()
        return kept | {f"scaler.{name}": torch.tensor(scale[name]) for name in ("scale", "_growth_tracker") if scale}

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Go on where `tensors` were taken."""
        self.network.load_state_dict(_under(kept, "network."))
        self.averaged.load_state_dict(_under(kept, "averaged."))
        for index, parameter in enumerate(self.network.parameters()):
            moments = {name: kept[f"{name}.{index}"] for name in MOMENTS}
            self._optimiser.state[parameter] = {name: _like(parameter, one) for name, one in moments.items()}
        if self._mixed_precision:
            scale = self._scaler.state_dict() | {name: one.item() for name, one in _under(kept, "scaler.").items()}
            self._scaler.load_state_dict(scale)

    def _learn(self, chosen: Tensor, draw: Generator) -> Tensor:
        """One batch; its mean loss in this process."""
        rows, plan = self._team.share(chosen), self._course.plan
        images = view(self._lesson.large[rows], self._course.side, self._course.strength, draw)
        aims = self._lesson.labels[rows] * (1 - plan.smoothing) + plan.smoothing / 2
        images, aims, counts = self._mixed(images, aims, rows, draw)
        with torch.autocast(self._team.device.type, enabled=self._mixed_precision):
            logits = self.network(images.contiguous(memory_format=torch.channels_last))[:, 0]
        counts = aims * self._balance + (1 - aims) if counts is None else (aims * self._balance + (1 - aims)) * counts
        loss = functional.binary_cross_entropy_with_logits(logits.float(), aims, weight=counts)
        self._step(loss if self._team.size == 1 else loss * self._team.weight(len(rows), len(chosen)))
        return loss.detach()

    def _mixed(
        self, images: Tensor, aims: Tensor, rows: Tensor, draw: Generator
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Mixup of images, aims and, where images count differently, of how much they count."""
        if self._lesson.weights is None:
            return *mixed(images, aims, self._course.plan.mixup, draw), None
        images, both = mixed(images, torch.stack([aims, self._lesson.weights[rows]], 1), self._course.plan.mixup, draw)
        return images, both[:, 0], both[:, 1]

    def _step(self, loss: Tensor) -> None:
        self._optimiser.zero_grad()
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._team.average_gradients(self.network)
        self._scaler.unscale_(self._optimiser)
        nn.utils.clip_grad_norm_(self.network.parameters(), SHARPEST)
        self._scaler.step(self._optimiser)
        self._scaler.update()


def _optimiser(network: nn.Module, plan: Schedule) -> torch.optim.Optimizer:
    """AdamW; biases and normalisation do not decay."""
    decaying = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decaying, "weight_decay": plan.decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=plan.rate)


def _set_rate(optimiser: torch.optim.Optimizer, plan: Schedule, progress: float) -> None:
    """Linear warm-up, then half a cosine down to zero."""
    late = max(0.0, (progress - plan.warm_up) / (1 - plan.warm_up))
    rate = plan.rate * min(1.0, (progress + 1e-3) / plan.warm_up) * 0.5 * (1 + math.cos(math.pi * late))
    for group in optimiser.param_groups:
        group["lr"] = rate


def _average(pairs: Sequence[tuple[Tensor, Tensor]], keep: float) -> None:
    """Move the exponential average of weights and statistics a step towards the network's."""
    with torch.no_grad():
        for mean, now in pairs:
            mean.lerp_(now, 1 - keep) if mean.is_floating_point() else mean.copy_(now)


def _under(kept: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in kept.items() if name.startswith(prefix)}


def _like(parameter: Tensor, moment: Tensor) -> Tensor:
    """A moment laid out in memory as AdamW would have: another layout may round otherwise. Its step stays as it is."""
    if moment.ndim == 0:
        return moment.clone()
    return torch.empty_like(parameter, requires_grad=False).copy_(moment)
