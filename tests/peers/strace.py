"""strace: what a running process asks of the kernel, and what the kernel then refuses it."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clock import until
from tests.peers.programs import need


def strace(*options: str) -> list[str]:
    """The command line, for a process with all its threads."""
    return [need("strace", "strace"), "-f", "-qq", *options]


@contextmanager
def attached(command: list[str], pid: int) -> Iterator[None]:
    """strace on every thread of a running process."""
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        until(lambda: f"TracerPid:\t{tracer.pid}" in Path(f"/proc/{pid}/status").read_text())
        time.sleep(0.3)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=10.0)
