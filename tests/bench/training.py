"""Training beside a plain PyTorch and MONAI script: `python -m tests.bench.training [--quick] [--json FILE]`.

Same network, parent, images, views, schedule and threads, and a look at the held-back images after every epoch. Ours
also keeps a checkpoint per epoch on the disk, tells how far it is, and can be killed. The two take turns, the median
counts.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from monai.utils import set_determinism
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.bundles import install, public_key
from models.catalog import catalog
from models.evaluation import auc
from models.networks import build
from models.training.augment import mixed, view
from models.training.cohort import phantoms
from models.training.fit import members
from models.training.material import Material, Taught
from models.training.order import Order
from models.training.recipes import CHEST, Recipe
from models.training.retrain import Parent, _Run, read_parent
from models.training.team import ALONE
from tests.models.training_material import KEY

MODEL = "cxr_pneumonia"
PICTURES = 40
"""Phantoms that are drawn; the images are these, lightened and darkened."""
HELD = 0.15


class Took(NamedTuple):
    """Seconds of one turn."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Report:
    """Images per second that one convolutional member learns from, the median over rounds.

    `ratio` is ours over the script's, the median over rounds of the ratio of neighbours in time; that of processor time
    leaves out what the disk takes, and what else the machine does.
    """

    images: int
    epochs: int
    threads: int
    plain_images_per_second: float
    ours_images_per_second: float
    ratio: float
    ratio_of_processor_time: float
    retrain_1000_images_minutes: float
    """What a whole retraining on 1,000 images takes at this rate, the linear member aside."""


def main() -> None:
    """Measure, print a table, write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="480 images, 3 rounds; not 960 and 5")
    parser.add_argument("--threads", type=int, default=1, help="of torch; one is steadier where cores are shared")
    parser.add_argument("--json", type=Path, help="also write the numbers there")
    arguments = parser.parse_args()
    images, rounds = (480, 3) if arguments.quick else (960, 5)
    report = measure(images, rounds, arguments.threads)
    for name, value in asdict(report).items():
        sys.stdout.write(f"{name:28} {value}\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(report), indent=1) + "\n")


def measure(images: int, rounds: int, threads: int, epochs: int = 1) -> Report:
    """Both, in turns, and each first in every other round."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    set_determinism(CHEST.seed)
    taught = pictures(images)
    with tempfile.TemporaryDirectory(prefix="radloop-") as folder:
        home = install(catalog()[MODEL].bundle, Path(folder) / "models", KEY)
        order = ordered(home.name, epochs, threads)
        parent = read_parent(home, public_key(KEY), order.recipe)
        works: list[Callable[[], object]] = [
            lambda: plain(order.recipe, parent, taught.train, taught.held),
            lambda: ours(order, taught, parent, Path(folder)),
        ]
        for work in works:  # warm, both of them
            work()
        turns = [in_turn(works, number) for number in range(rounds)]
    learned = images * epochs
    plain_rate, our_rate = (learned / statistics.median(one.wall for one in side) for side in zip(*turns, strict=True))
    return Report(
        images=images,
        epochs=epochs,
        threads=threads,
        plain_images_per_second=round(plain_rate, 1),
        ours_images_per_second=round(our_rate, 1),
        ratio=round(statistics.median(script.wall / our.wall for script, our in turns), 3),
        ratio_of_processor_time=round(statistics.median(script.processor / our.processor for script, our in turns), 3),
        retrain_1000_images_minutes=round(1000 * CHEST.retrain.epochs * CHEST.members / our_rate / 60, 2),
    )


def in_turn(works: Sequence[Callable[[], object]], number: int) -> list[Took]:
    """Seconds of each; the odd rounds begin with the last."""
    if number % 2:
        return [timed(work) for work in reversed(works)][::-1]
    return [timed(work) for work in works]


def ours(order: Order, taught: Material, parent: Parent, folder: Path) -> None:
    """One convolutional member as `retrain` trains it, from no checkpoint."""
    for path in folder.glob("member-*"):
        path.unlink()
    _Run(order, taught, parent, folder, lambda _: None, ALONE).residual(1)


def plain(recipe: Recipe, parent: Parent, taught: Taught, held: Taught) -> None:
    """What a script would do."""
    plan, draw = recipe.schedule, Generator().manual_seed(1)
    member = members(recipe, (1.0,) * (recipe.members + 1))[1]
    network = build(member.network, member.arguments).train()
    network.load_state_dict(dict(parent.state(1)))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(plan.average), use_buffers=False)
    images, labels = torch.from_numpy(taught.images)[:, None], torch.from_numpy(taught.labels)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.decay)
    batches = len(labels) // plan.batch
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: 0.5 * (1 + math.cos(math.pi * step / (plan.epochs * batches)))
    )
    balance = float((1 - labels).sum() / labels.sum())
    for _ in range(plan.epochs):
        order = torch.randperm(len(labels), generator=draw)
        for chosen in order[: batches * plan.batch].chunk(batches):
            seen = view(images[chosen], recipe.input_size, recipe.strength, draw)
            aims = labels[chosen] * (1 - plan.smoothing) + plan.smoothing / 2
            seen, aims = mixed(seen, aims, plan.mixup, draw)
            logits: Tensor = network(seen.contiguous(memory_format=torch.channels_last))[:, 0]
            loss = functional.binary_cross_entropy_with_logits(logits, aims, weight=aims * balance + 1 - aims)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimiser.step()
            schedule.step()
            averaged.update_parameters(network)
        area(averaged, held)


def area(network: nn.Module, held: Taught) -> float:
    """The AUC on the held-back images."""
    network.eval()
    with torch.inference_mode():
        return auc(held.labels, network(torch.from_numpy(held.images)[:, None])[:, 0].numpy())


def pictures(images: int) -> Material:
    found = phantoms(replace(CHEST, phantoms=PICTURES // 2))
    rows = np.arange(images) % PICTURES
    light = np.linspace(0.7, 1.0, images, dtype=np.float32)[:, None, None]
    held = np.arange(round(images * HELD)) % PICTURES
    return Material(
        taught(found.large[rows] * light, found.labels[rows]), taught(found.small[held], found.labels[held])
    )


def taught(images: np.ndarray, labels: np.ndarray) -> Taught:
    return Taught(images, labels, np.ones(len(labels), np.float32), np.arange(len(labels)))


def ordered(parent: str, epochs: int, threads: int) -> Order:
    return Order(
        model=MODEL,
        version="1.1.0",
        cohort="0" * 64,
        parent=parent,
        seed=CHEST.seed,
        plan=replace(CHEST.retrain, epochs=epochs),
        device="cpu",
        threads=threads,
        processes=1,
        code="bench",
        origin={},
    )


def timed(work: Callable[[], object]) -> Took:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - processor)


if __name__ == "__main__":
    main()
