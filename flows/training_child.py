"""The process that trains, seen from the flow: started with an order, listened to, and never outliving us.

Images reach it through memory that the two share, so that nothing of the store lies unencrypted on a disk.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from models.training.order import Order
from models.training.retrain import BUNDLE, Step
from radloop.domain.errors import Permanent, Unavailable
from radloop.settings import child_environment

WORKER: Final = "models.training.worker"
LAUNCHER: Final = "models.training.launch"
LOG: Final = "train.log"
RESTARTS: Final = 2
"""How often torchrun starts its processes again, from their checkpoints, when one of them dies."""
GRACE_SECONDS: Final = 10.0
NICER: Final = 5
"""How much further back it stands in the queue for the processor: who reads goes before who learns."""
LOWEST: Final = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """What the process is started with. `parent`: the bundle that the order names. `public`: the site's PEM, in hex."""

    order: Order
    order_file: Path
    folder: Path
    parent: Path | None
    public: str

    def command(self, material: str) -> Sequence[str]:
        """Python, and its arguments: the worker itself, or torchrun with as many of them as were ordered."""
        asked = ["--order", str(self.order_file), "--material", material, "--folder", str(self.folder)]
        if self.parent is not None:
            asked += ["--parent", str(self.parent), "--key", self.public]
        if self.order.processes == 1:
            return [sys.executable, "-m", WORKER, *asked]
        # Port 0: the rendezvous takes a free one, so that two runs on one machine do not meet.
        meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--max-restarts", str(RESTARTS)]
        return [sys.executable, "-m", LAUNCHER, "--nproc-per-node", str(self.order.processes), *meeting, "--", *asked]


def train(child: Child, material: bytes, told: Callable[[Step], None]) -> Path:
    """Have a process train, from its checkpoints on where there are any; the bundle that it wrote, unsigned.

    Raises:
        Unavailable: it was killed: the next try goes on from the last checkpoint.
        Permanent: it refused the order, or failed.
    """
    with _in_memory(material) as path, _started(child, path) as process:
        refused = _listened(process.stdout, told)
        code = process.wait()
    if refused:
        raise Permanent(f"training was refused: {refused}")
    if code < 0:
        raise Unavailable(f"the training process was killed (signal {-code}): start it again, it goes on where it was")
    if code:
        raise Permanent(f"the training process ended with {code}: see {LOG} in its folder")
    return child.folder / BUNDLE


@contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """A path under which our children read these bytes, and nobody once we are gone (memfd_create(2))."""
    with os.fdopen(os.memfd_create("material"), "wb") as file:
        file.write(data)
        file.flush()
        yield f"/proc/{os.getpid()}/fd/{file.fileno()}"


@contextmanager
def _started(child: Child, material: str) -> Iterator["subprocess.Popen[str]"]:
    extra = {
        "OMP_NUM_THREADS": str(child.order.threads),
        # cuBLAS is deterministic only with a fixed work space (PyTorch, "Reproducibility").
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
    with (child.folder / LOG).open("a") as log:
        process = subprocess.Popen(
            child.command(material), stdout=subprocess.PIPE, stderr=log, text=True, env=child_environment(extra)
        )
    try:
        _yields(process.pid)
        yield process
    finally:
        _ended(process)


def _yields(pid: int) -> None:
    """Give a process a lower priority than ours."""
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, pid, min(LOWEST, os.getpriority(os.PRIO_PROCESS, 0) + NICER))


def _ended(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        # torchrun takes its processes along when it is asked to end.
        process.terminate()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _listened(lines: IO[str] | None, told: Callable[[Step], None]) -> str:
    """Tell every step until the process ends; why it refused, where it did."""
    refused = ""
    for line in lines or ():
        said = _parsed(line)
        if "step" in said:
            told(Step(**said["step"]))
        refused = str(said.get("why", refused))
    return refused


def _parsed(line: str) -> dict[str, dict[str, int]]:
    """A line of ours; nothing of a line that a library printed."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
