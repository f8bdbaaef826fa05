"""Grad-CAM (Selvaraju 2017) with weights per element (HiResCAM, Draelos and Carin 2020), in one forward pass.

Where the head is a pooling and a linear layer both are the same map; elsewhere the element-wise one still
shows only what raised the score.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def scores_and_maps(
    network: Callable[[Tensor], Tensor], layers: Sequence[nn.Module], batch: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits (N, T) of `batch` (N, 1, S, S), and heat maps (N, T, h, w), 0..1, each at its own maximum 1.

    The graph starts at the watched layers: nothing before them keeps its activations. A map of a target that
    nothing raised is all zeros. `network` scores a batch; `layers` are its watched modules, whose maps are averaged.
    """
    with torch.enable_grad(), _watched(layers) as features:
        logits = network(batch)
        maps = [_maps(logits[:, target].sum(), features) for target in range(logits.shape[1])]
    return logits.detach(), torch.stack(maps, dim=1)


def _maps(score: Tensor, features: Sequence[Tensor]) -> Tensor:
    gradients = torch.autograd.grad(score, features, retain_graph=True)
    raw = [(feature * gradient).sum(dim=1).relu() for feature, gradient in zip(features, gradients, strict=True)]
    size = max((tuple(heat.shape[1:]) for heat in raw), key=lambda shape: shape[0])
    return _to_unit(sum((_to_unit(_resized(heat, size)) for heat in raw), torch.zeros(1)).detach())


def _resized(heat: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(heat.shape[1:]) == size:
        return heat
    return nn.functional.interpolate(heat[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def _to_unit(heat: Tensor) -> Tensor:
    peak = heat.amax(dim=(1, 2), keepdim=True)
    return torch.where(peak > 0, heat / peak.clamp_min(1e-12), torch.zeros_like(heat))


@contextmanager
def _watched(layers: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Collect what the layers put out, as leaves of a new graph, in the order they run."""
    features: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        features.append(output.detach().requires_grad_())
        return features[-1]

    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield features
    finally:
        for handle in handles:
            handle.remove()
