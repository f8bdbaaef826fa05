"""`python -m models.training NAME --data DIR --out DIR`."""

import argparse
import sys
import time
from pathlib import Path

import torch

from models.training.recipes import RECIPES
from models.training.train import train


def main() -> None:
    """Train one model of the zoo and say how far it is."""
    parser = argparse.ArgumentParser(prog="python -m models.training", description=__doc__)
    parser.add_argument("model", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv and the DICOM files it names")
    parser.add_argument("--out", type=Path, required=True, help="gets bundle/ and metrics.json")
    parser.add_argument("--threads", type=int, default=1, help="torch threads; another count gives other weights")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the training runs")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    start = time.monotonic()
    train(RECIPES[asked.model], asked.data, asked.out, lambda text: _say(start, text), asked.workers)


def _say(start: float, text: str) -> None:
    sys.stderr.write(f"{time.monotonic() - start:7.1f} s  {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
