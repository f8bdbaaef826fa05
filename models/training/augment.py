"""Random views of a batch: turned, scaled, sheared, moved, mirrored, regraded, noisy, partly covered."""

from math import pi

import torch
from torch import Generator, Tensor
from torch.nn import functional

from models.training.recipes import Strength


def view(batch: Tensor, side: int, strength: Strength, draw: Generator) -> Tensor:
    """Another view of each image of `batch` (N, 1, L, L), 0..1, as (N, 1, side, side).

    The chest is mirrored too: the finding has no side, and a mirrored chest is a rare but real one (situs inversus).
    """
    turns = _affine(len(batch), strength, draw).to(batch.device)
    grid = functional.affine_grid(turns, [len(batch), 1, side, side], align_corners=False)
    moved = functional.grid_sample(batch, grid, align_corners=False)
    return _covered(_regraded(moved, strength.grey, draw), strength.cut, draw)


def mixed(images: Tensor, labels: Tensor, amount: float, draw: Generator) -> tuple[Tensor, Tensor]:
    """Mixup (Zhang 2018): images and labels blended with those of a random partner, Beta(amount, amount)."""
    if amount <= 0:
        return images, labels
    alpha = torch.full((2,), amount)
    gammas = torch._standard_gamma(alpha, generator=draw).clamp_min(1e-8)  # noqa: SLF001 - no public seeded gamma
    keep = float(gammas[0] / gammas.sum())
    partner = torch.randperm(len(images), generator=draw)
    return keep * images + (1 - keep) * images[partner], keep * labels + (1 - keep) * labels[partner]


def _affine(count: int, strength: Strength, draw: Generator) -> Tensor:
    turn = _around(count, strength.rotate * pi / 180, draw)
    scale, aspect = torch.exp(_around(count, strength.scale, draw)), torch.exp(_around(count, strength.scale / 2, draw))
    mirror = torch.where(torch.rand(count, generator=draw) < 0.5, -1.0, 1.0)
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0] = mirror * turn.cos() * scale * aspect
    matrix[:, 0, 1] = (_around(count, strength.shear, draw) - turn.sin()) * scale
    matrix[:, 1, 0] = mirror * turn.sin() * scale
    matrix[:, 1, 1] = turn.cos() * scale / aspect
    matrix[:, 0, 2] = _around(count, strength.shift, draw)
    matrix[:, 1, 2] = _around(count, strength.shift, draw)
    return matrix


def _regraded(batch: Tensor, amount: float, draw: Generator) -> Tensor:
    """Gamma, contrast, brightness, a slope of light, and noise; drawn on the CPU, wherever the images are."""
    side, here = batch.shape[-1], batch.device

    def each(reach: float) -> Tensor:
        return _around(len(batch), reach * amount, draw)[:, None, None, None].to(here)

    ramp = torch.linspace(-1, 1, side).to(here)
    graded = batch.clamp(1e-4, 1) ** torch.exp(each(0.4))
    graded = graded * torch.exp(each(0.25)) + each(0.1)
    graded = graded * (1 + each(0.15) * ramp + each(0.15) * ramp[:, None])
    return graded + torch.randn(graded.shape, generator=draw).to(here) * each(0.04).abs()


def _covered(batch: Tensor, share: float, draw: Generator) -> Tensor:
    """Cutout (DeVries 2017): a square of 10 to 30 % of the side, set to the image's mean, on `share` of the images."""
    side = batch.shape[-1]
    for image in batch:
        chance, size, top, left = torch.rand(4, generator=draw).tolist()
        if chance < share:
            edge = int(side * (0.1 + 0.2 * size))
            y, x = int(top * (side - edge)), int(left * (side - edge))
            image[:, y : y + edge, x : x + edge] = image.mean()
    return batch


def _around(count: int, reach: float, draw: Generator) -> Tensor:
    return (torch.rand(count, generator=draw) * 2 - 1) * reach
