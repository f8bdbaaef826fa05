"""Fits one committee to one training set."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from sklearn.linear_model import LogisticRegression
from torch import Generator, Tensor
from torch.nn import functional

from models.networks import Arguments, Committee, Member, OrientedGradients, build
from models.runtime import fill
from models.training.augment import view
from models.training.cohort import Cohort
from models.training.member import Course, Draws, Lesson, Pupil
from models.training.recipes import Recipe

BINS, GRID, HALVINGS = 8, 8, 1
VIEWS = 8


@dataclass(frozen=True, slots=True)
class Fitted:
    """Trained networks of one training set, as they will be on disk: linear first, then the convolutional ones."""

    states: tuple[dict[str, Tensor], ...]


def members(recipe: Recipe, weights: tuple[float, ...]) -> list[Member]:
    """The recipe's committee, with a weight per member."""
    linear: Arguments = {"bins": BINS, "grid": GRID, "halvings": HALVINGS}
    residual: Arguments = {"width": recipe.width, "stem": 5, "dropout": 0.2, "grey": recipe.grey}
    kinds = [("OrientedGradients", linear), *[("ResNet", residual)] * recipe.members]
    return [Member(name, arguments, weight) for (name, arguments), weight in zip(kinds, weights, strict=True)]


def fit(recipe: Recipe, cohort: Cohort, rows: npt.NDArray[np.intp], extra: Cohort, seed: int) -> Fitted:
    """Train every member on `rows` of the cohort and all of `extra`. The same seed gives the same weights."""
    large = torch.from_numpy(np.concatenate([cohort.large[rows], extra.large]))[:, None]
    labels = torch.from_numpy(np.concatenate([cohort.labels[rows], extra.labels]))
    linear, *residual = members(recipe, (1.0,) * (recipe.members + 1))
    states = [fit_linear(recipe, linear, Lesson(large, labels), seed)]
    states += [_residual(recipe, one, large, labels, seed + 1 + i) for i, one in enumerate(residual)]
    return Fitted(tuple(states))


def course(recipe: Recipe) -> Course:
    """How the recipe's convolutional members learn."""
    return Course(plan=recipe.schedule, side=recipe.input_size, strength=recipe.strength)


def weights_of(fitted: Fitted) -> bytes:
    """The committee's state as safetensors, fp16."""
    whole = {
        f"members.{i}.{name}": (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for i, state in enumerate(fitted.states)
        for name, tensor in state.items()
    }
    packed: bytes = save(whole)
    return packed


def votes(recipe: Recipe, weights: bytes, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Each member's logit, (N, members), of weights read from fp16 safetensors: as the served model will vote."""
    committee = Committee(members(recipe, (1.0,) * (recipe.members + 1)), flip=True)
    fill(committee, weights)
    batch = torch.from_numpy(images)[:, None]
    with torch.inference_mode():
        logits = [(member(batch) + member(batch.flip(3))) / 2 for member in committee.members]
    return torch.cat(logits, dim=1).double().numpy()


def fit_linear(recipe: Recipe, member: Member, lesson: Lesson, seed: int) -> dict[str, Tensor]:
    """Logistic regression on views of every image; standardisation and block weights are folded into the layer."""
    large, labels = lesson.large, lesson.labels
    network = build(member.network, member.arguments)
    assert isinstance(network, OrientedGradients)  # noqa: S101 - the recipe's first member, and mypy should know
    draw = Generator().manual_seed(seed)
    side = recipe.input_size
    plain = functional.interpolate(large, (side, side), mode="bilinear", antialias=True)
    gentle = recipe.strength.__class__(rotate=8, scale=0.12, shear=0, shift=0.08, grey=0.2, cut=0)
    views = [plain, plain.flip(3), *(view(large, side, gentle, draw) for _ in range(VIEWS))]
    with torch.inference_mode():
        features = torch.cat([network.features(one) for one in views]).double().numpy()
    centre, spread = features.mean(axis=0), (features.std(axis=0) + 1e-4) * _block_weights()
    model = LogisticRegression(C=recipe.inverse_penalty / len(views), max_iter=1000)
    counts = None if lesson.weights is None else np.tile(lesson.weights.numpy(), len(views))
    model.fit((features - centre) / spread, np.tile(labels.numpy() > 0.5, len(views)), sample_weight=counts)
    weight = model.coef_ / spread
    network.head.weight.data = torch.from_numpy(weight).float()
    network.head.bias.data = torch.from_numpy(model.intercept_ - weight @ centre).float()
    return network.state_dict()


def _block_weights() -> npt.NDArray[np.float64]:
    """Each block of features weighs the same, however many it has."""
    ends = OrientedGradients.blocks(BINS, GRID)
    sizes = np.diff((0, *ends))
    return np.repeat(np.sqrt(sizes * len(sizes)), sizes)


def _residual(recipe: Recipe, member: Member, large: Tensor, labels: Tensor, seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    draw = Generator().manual_seed(seed)
    pupil = Pupil(build(member.network, member.arguments), Lesson(large, labels), course(recipe))
    for epoch in range(recipe.schedule.epochs):
        pupil.epoch(epoch, Draws(draw, draw))
    return pupil.state()
