"""The networks a bundle may name. A bundle brings numbers, never code: what is not in this table is not built."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import pi

import torch
from monai.networks.nets import ResNet
from torch import Tensor, nn
from torch.nn import functional

from radloop.domain.errors import IntegrityError

Arguments = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Member:
    """One network of a committee: its name in `NETWORKS`, its constructor's arguments, and its logit's weight."""

    network: str
    arguments: Arguments
    weight: float


class OrientedGradients(nn.Module):
    """A linear reading of oriented gradients (Dalal and Triggs 2005) and of a small thumbnail.

    Few parameters, so it holds up where a few hundred images are all there is. Input (N, 1, S, S), 0..1.

    Args:
        bins: directions over 180 degrees.
        grid: cells per side.
        halvings: how often the picture is halved before its gradients are taken.
    """

    def __init__(self, bins: int = 8, grid: int = 8, halvings: int = 1) -> None:
        super().__init__()
        self.halvings = halvings
        self.grid = grid
        self.gradients = Gradients(bins)
        self.cells = nn.AdaptiveAvgPool2d(grid)
        self.head = nn.Linear(self.blocks(bins, grid)[-1], 1)

    @staticmethod
    def blocks(bins: int, grid: int) -> tuple[int, int, int]:
        """Where the feature blocks end: contrast-normalised gradients, gradients, thumbnail."""
        cells = grid * grid
        return bins * cells, 2 * bins * cells, (2 * bins + 1) * cells

    def ends(self) -> tuple[int, int, int]:
        """Where this one's feature blocks end."""
        return self.blocks(self.gradients.bins, self.grid)

    def forward(self, batch: Tensor) -> Tensor:
        """Logits (N, 1)."""
        scores: Tensor = self.head(self.features(batch))
        return scores

    def features(self, batch: Tensor) -> Tensor:
        """What the linear layer reads: (N, features)."""
        small = functional.avg_pool2d(batch, 2**self.halvings) if self.halvings else batch
        cells = self.cells(self.gradients(small))
        contrast = cells / (cells.norm(dim=1, keepdim=True) + 0.02)
        thumbnail = functional.adaptive_avg_pool2d(small, self.cells.output_size)
        return torch.cat([contrast.flatten(1), (cells + 1e-6).sqrt().flatten(1), thumbnail.flatten(1)], dim=1)


class Gradients(nn.Module):
    """Gradient magnitude, shared between the two nearest of `bins` directions: (N, 1, h, w) to (N, bins, h, w)."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, image: Tensor) -> Tensor:
        """The magnitudes."""
        across = functional.pad(image[..., 2:] - image[..., :-2], (1, 1)) / 2
        down = functional.pad(image[..., 2:, :] - image[..., :-2, :], (0, 0, 1, 1)) / 2
        magnitude = (across**2 + down**2 + 1e-12).sqrt()
        angle = torch.atan2(down, across) % pi
        centres = ((torch.arange(self.bins) + 0.5) * (pi / self.bins))[None, :, None, None]
        distance = (angle - centres).abs()
        distance = torch.minimum(distance, pi - distance)
        return magnitude * (1 - distance * (self.bins / pi)).clamp_min(0)


class Standardised(nn.Module):
    """A network that sees each image at mean 0 and about unit variance: exposure carries no diagnosis."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Tensor) -> Tensor:
        """Logits of (N, 1, S, S), 0..1."""
        mean = batch.mean(dim=(2, 3), keepdim=True)
        scores: Tensor = self.network((batch - mean) / (batch.std(dim=(2, 3), keepdim=True, unbiased=False) + 0.05))
        return scores


class Centred(nn.Module):
    """A network that sees the image as it is, moved from 0..1 to -2..2."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Tensor) -> Tensor:
        """Logits of (N, 1, S, S), 0..1."""
        scores: Tensor = self.network((batch - 0.5) * 4)
        return scores


INPUTS: Mapping[str, Callable[[nn.Module], nn.Module]] = {"standardised": Standardised, "centred": Centred}


def _resnet(width: int, stem: int, dropout: float, grey: str) -> nn.Module:
    """A residual network of four single blocks (MONAI's ResNet), `width` to 8 x `width` channels."""
    network = ResNet(
        block="basic",
        layers=[1, 1, 1, 1],
        block_inplanes=[width, 2 * width, 4 * width, 8 * width],
        spatial_dims=2,
        n_input_channels=1,
        conv1_t_size=stem,
        conv1_t_stride=2,
        num_classes=1,
    )
    network.fc = nn.Sequential(nn.Dropout(dropout), network.fc)
    return INPUTS[grey](network)


NETWORKS: Mapping[str, Callable[..., nn.Module]] = {"OrientedGradients": OrientedGradients, "ResNet": _resnet}
WATCHED: Mapping[str, str] = {"OrientedGradients": "cells", "ResNet": "network.layer3"}
"""The layer whose map Grad-CAM reads: the last one with a useful resolution."""


class Committee(nn.Module):
    """Networks whose weighted logits are added (deep ensemble, Lakshminarayanan 2017).

    Args:
        members: who sits in it.
        flip: also read the mirror image and average; for organs where a mirror image is as sane.

    Raises:
        IntegrityError: a member's network is not allowed, or its constructor refuses the arguments.
    """

    def __init__(self, members: Sequence[Member], *, flip: bool) -> None:
        super().__init__()
        self.flip = flip
        self.shares = tuple(member.weight for member in members)
        self.members = nn.ModuleList([build(member.network, member.arguments) for member in members])
        self.watched = tuple(WATCHED[member.network] for member in members)

    def forward(self, batch: Tensor) -> Tensor:
        """Logits (N, 1) of `batch` (N, 1, S, S), 0..1."""
        if not self.flip:
            return self.votes(batch)
        both = self.votes(torch.cat([batch, batch.flip(3)]))
        return (both[: len(batch)] + both[len(batch) :]) / 2

    def votes(self, batch: Tensor) -> Tensor:
        """The weighted sum of the members' logits, (N, 1), without the mirror image."""
        logits = [share * member(batch) for share, member in zip(self.shares, self.members, strict=True)]
        return torch.stack(logits).sum(dim=0)

    def layers(self) -> list[nn.Module]:
        """The watched layer of every member, in the order they run."""
        return [member.get_submodule(name) for member, name in zip(self.members, self.watched, strict=True)]


def build(network: str, arguments: Arguments) -> nn.Module:
    """One network of the table, with random weights.

    Raises:
        IntegrityError: the name is not in the table, or its constructor refuses the arguments.
    """
    if network not in NETWORKS:
        raise IntegrityError("the bundle names a network that is not allowed")
    try:
        return NETWORKS[network](**arguments)
    except (TypeError, ValueError, AttributeError, KeyError, RuntimeError) as error:
        raise IntegrityError("the bundle's network takes other arguments") from error
