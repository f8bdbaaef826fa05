"""The process that trains: `python -m models.training.worker --order FILE --material FILE --folder DIR ...`.

It is told what to do by an order and where the images are by a path, and tells how far it is in lines of JSON on its
standard output. Under `torchrun` it is one of several.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from monai.utils import set_determinism

from models.training import material
from models.training.order import Order, unpack
from models.training.retrain import Parent, Progress, Step, read_parent, retrain
from models.training.team import Team, team
from radloop.domain.errors import RadloopError
from radloop.process import die_with_parent

REFUSED = 3
"""Ends with this where the order cannot be carried out, having said why."""


def main() -> int:
    """The process."""
    parser = argparse.ArgumentParser(prog="python -m models.training.worker", description=__doc__)
    parser.add_argument("--order", type=Path, required=True)
    parser.add_argument("--material", required=True, help="safetensors; may be a file in memory")
    parser.add_argument("--folder", type=Path, required=True, help="gets checkpoints, bundle/ and record.json")
    parser.add_argument("--parent", type=Path, help="the installed bundle that the order names")
    parser.add_argument("--key", default="", help="the site's public key, its PEM in hex")
    asked = parser.parse_args()
    die_with_parent()
    try:
        order = unpack(asked.order.read_bytes())
        work(order, asked)
    except RadloopError as error:
        _say({"refused": error.code, "why": str(error)})
        return REFUSED
    return 0


def work(order: Order, asked: argparse.Namespace) -> None:
    """Carry out an order in this process."""
    set_up(order)
    images = material.read(asked.material)
    parent = _parent(order, asked)
    with team(order.device, order.processes) as ours:
        retrain(order, images, parent, asked.folder, _told(ours), ours)


def set_up(order: Order) -> None:
    """Threads and determinism, before the first tensor."""
    torch.set_num_threads(order.threads)
    torch.set_flush_denormal(True)
    set_determinism(order.seed)


def _parent(order: Order, asked: argparse.Namespace) -> Parent | None:
    return read_parent(asked.parent, bytes.fromhex(asked.key), order.recipe) if order.parent else None


def _told(ours: Team) -> Progress:
    return _step if ours.leads else _nothing


def _step(step: Step) -> None:
    _say({"step": asdict(step)})


def _nothing(_: Step) -> None:
    """A helping process leaves it to the first to tell."""


def _say(line: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
