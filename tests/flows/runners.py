"""A runner process of our own, started on a home and surely stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clock import until

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0


@contextmanager
def runner(home: Path, module: str = "tests.flows.drive_runner") -> Iterator[subprocess.Popen[bytes]]:
    """The runner's process, ready. Killed with the block where it lives still; its log is `home/runner.log`."""
    announcement = home / "run" / "runner.json"
    announcement.unlink(missing_ok=True)
    with (home / "runner.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--home", str(home)], cwd=ROOT, stdin=subprocess.DEVNULL, stderr=log
        )
    try:
        until(lambda: announcement.exists() or process.poll() is not None, START_SECONDS)
        assert process.poll() is None, "the runner ended before it was ready"
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9, and wait for the end."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
