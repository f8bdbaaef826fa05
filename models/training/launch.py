"""`torchrun` that dies with its parent: `python -m models.training.launch [options of torchrun] -- worker's options`.

On several machines, each starts this with `--nnodes`, `--node-rank` and `--rdzv-endpoint` of torchrun, and a training
folder that all of them share.
"""

import sys
from collections.abc import Sequence

from torch.distributed import run

from radloop.process import die_with_parent

WORKER = "models.training.worker"


def main(arguments: Sequence[str]) -> None:
    """The process: PyTorch's own launcher, with our worker as its module."""
    die_with_parent()
    cut = arguments.index("--")
    run.main([*arguments[:cut], "--module", WORKER, *arguments[cut + 1 :]])


if __name__ == "__main__":
    main(sys.argv[1:])
