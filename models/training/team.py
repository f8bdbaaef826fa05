"""The processes that train one network together, on one machine or several (`torchrun`): gloo on CPU, nccl on CUDA.

Each takes its share of every batch, so the batch is as large as with one process; gradients are averaged after every
batch, statistics of normalisation after every epoch. Within an epoch each normalises by its own share, so another
number of processes gives other weights, as another number of threads does. Each number gives always the same ones.
"""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, distributed, nn

BACKENDS: Final = {"cpu": "gloo", "cuda": "nccl"}


@dataclass(frozen=True, slots=True)
class Team:
    """Which of how many this process is, and where it computes. `rank` 0 keeps what comes out."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process keeps checkpoints and writes the result."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of a batch's rows."""
        return rows if self.size == 1 else rows.tensor_split(self.size)[self.rank]

    def weight(self, part: int, whole: int) -> float:
        """What a mean over `part` rows counts among the processes, so that the mean of them is that of all rows."""
        return part * self.size / whole

    def average_gradients(self, network: nn.Module) -> None:
        """Give every process the mean gradient."""
        self._average([p.grad for p in network.parameters() if p.grad is not None])

    def average_statistics(self, network: nn.Module) -> None:
        """Give every process the mean of the networks' running statistics."""
        self._average([buffer for buffer in network.buffers() if buffer.is_floating_point()])

    def _average(self, tensors: list[Tensor]) -> None:
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        parts = torch.split(flat / self.size, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))


ALONE: Final = Team(0, 1, torch.device("cpu"))


def best_device(asked: str) -> str:
    """The device that a setting means: "auto" is CUDA where there is one."""
    if asked != "auto":
        return asked
    return "cuda" if torch.cuda.is_available() else "cpu"


def described(device: str) -> str:
    """The device and what it is, for the record: "cpu x86_64", "cuda NVIDIA H100"; at most 64 characters."""
    kind = torch.device(device).type
    what = torch.cuda.get_device_name(torch.device(device)) if kind == "cuda" else platform.machine()
    return f"{device} {what}"[:64]


@contextmanager
def team(device: str, size: int) -> Iterator[Team]:
    """The team that this process was started into; `torchrun` says by environment variables which one it is."""
    if size == 1:
        yield Team(0, 1, torch.device(device))
        return
    kind = torch.device(device).type
    distributed.init_process_group(BACKENDS[kind])
    try:
        rank = distributed.get_rank()
        # One graphics processor per process of a machine.
        here = f"cuda:{rank % torch.cuda.device_count()}" if kind == "cuda" else device
        yield Team(rank, distributed.get_world_size(), torch.device(here))
    finally:
        distributed.destroy_process_group()
