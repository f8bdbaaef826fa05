"""Where a network puts an image: 64 numbers, a fixed projection of what its last layers read.

A committee's members end in a linear layer each; what those layers read (the penultimate features) is projected by a
matrix of signs (a random projection keeps distances: Johnson and Lindenstrauss 1984; signs do: Achlioptas 2003).
Signs come from SHAKE-256 over a constant and the matrix's size, so they are the same on every machine and for ever.

Numbers 0 to 31 are of the members whose features are not learned (oriented gradients and a thumbnail): they are equal
for all versions of a model, also retrained ones, whatever their weights. Numbers 32 to 63 are of the members that
learn: versions with the same architecture share the projection, but training moves the features themselves, so
distances between versions there say how far apart the versions are, too. A half without members is zeros.

Each block of features weighs the same, however many features it has. Of the image as it is; not of its mirror image.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from models.networks import Committee, OrientedGradients
from models.preparation import Floats

HALF: Final = 32
DIMENSIONS: Final = 2 * HALF
"""As `radloop.ledger.acquired.DIMENSIONS`."""
SIGNS: Final = b"radloop embedding 1"


@contextmanager
def penultimate(network: Committee) -> Iterator[list[Tensor]]:
    """Collect what the last layer of every member reads while the network reads a batch, in the order they run.

    Nothing is changed on the way: the numbers that the network gives stay bit-identical.
    """
    features: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        features.append(inputs[0].detach())

    handles = [layer.register_forward_pre_hook(keep) for layer in _last_layers(network)]
    try:
        yield features
    finally:
        for handle in handles:
            handle.remove()


def embeddings(network: Committee, features: Sequence[Tensor], size: int) -> Floats:
    """The (size, 64) float32 embeddings of the first `size` images of a batch, from `penultimate` features."""
    blocks: dict[bool, list[Tensor]] = {False: [], True: []}
    for member, found in zip(network.members, features, strict=True):
        if isinstance(member, OrientedGradients):
            blocks[False] += _split(member, found[:size])
        else:
            blocks[True].append(found[:size])
    halves = [_projected([_even(block) for block in blocks[learned]], size) for learned in (False, True)]
    return np.ascontiguousarray(torch.cat(halves, dim=1).numpy(), np.float32)


def _last_layers(network: Committee) -> list[nn.Module]:
    """The linear layer in which each member ends, in the order they run."""
    return [
        member.get_submodule("head" if isinstance(member, OrientedGradients) else "network.fc")
        for member in network.members
    ]


def _split(member: OrientedGradients, features: Tensor) -> list[Tensor]:
    ends = member.ends()
    return list(features.tensor_split(ends[:-1], dim=1))


def _even(block: Tensor) -> Tensor:
    return block / math.sqrt(block.shape[1])


def _projected(blocks: Sequence[Tensor], size: int) -> Tensor:
    if not blocks:
        return torch.zeros(size, HALF)
    joined = torch.cat(list(blocks), dim=1)
    # In float64 on one path: the sum's order does not depend on the batch.
    return (joined.double() @ _signs(joined.shape[1])).float()


@cache
def _signs(features: int) -> Tensor:
    """The (features, 32) matrix of +1 and -1."""
    bits = np.frombuffer(
        hashlib.shake_256(SIGNS + features.to_bytes(4, "little")).digest(features * HALF // 8), np.uint8
    )
    signs = np.unpackbits(bits).reshape(features, HALF).astype(np.float64) * 2 - 1
    return torch.from_numpy(signs)
