"""A real Prefect server of our own. Its start takes 15 to 20 seconds: one per session."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from flows.environment import server_environment
from radloop.process import free_port
from radloop.settings import Settings, child_environment
from tests.flows.runners import ROOT, kill

START_SECONDS = 100.0


@contextmanager
def prefect_server(home: Path) -> Iterator[int]:
    """The port of a running server that keeps its database under `home`."""
    port = free_port()
    start = ("flows.prefect_server", "server", "start", "--no-ui", "--host", "127.0.0.1", "--port", str(port))
    argv = [sys.executable, "-m", *start]
    process = subprocess.Popen(
        argv,
        cwd=ROOT,
        env=child_environment(server_environment(Settings(home=home))),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(port, process)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            kill(process)


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the Prefect server ended"
        try:
            if httpx.get(f"http://127.0.0.1:{port}/api/health", trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError("the Prefect server did not start")
