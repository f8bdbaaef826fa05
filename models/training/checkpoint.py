"""Checkpoints: a safetensors file that is there whole or not at all, with what belongs to it in its header.

Numbers and words in one file cannot get apart; no pickle, so a checkpoint runs no code.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

KEY: Final = "key"
WORDS: Final = "words"


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Tensors, and words (plain JSON) about them."""

    tensors: Mapping[str, Tensor]
    words: Mapping[str, object]


def write(path: Path, key: str, checkpoint: Checkpoint) -> None:
    """Keep a checkpoint of the work that `key` names, in place of the one before."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    place(path, save(tensors, {KEY: key, WORDS: json.dumps(checkpoint.words)}))


def read(path: Path, key: str) -> Checkpoint | None:
    """The checkpoint, or None where there is none, it is damaged, or it is another work's."""
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            if header.get(KEY) != key:
                return None
            return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, json.loads(header[WORDS]))  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError, ValueError, KeyError):
        return None


def place(path: Path, data: bytes) -> None:
    """Write a file so that a kill at any moment leaves the old one or the new one: beside, synced, renamed, synced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
