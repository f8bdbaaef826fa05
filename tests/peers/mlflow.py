"""A real MLflow server of our own, started as the supervisor starts it. Its start takes ten seconds or so."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx

from radloop.process import announce
from radloop.settings import Settings, child_environment
from serving.supervisor.table import choose_ports, rows
from tests.peers.programs import _die_with_parent

START_SECONDS = 120.0


@contextmanager
def mlflow_server(settings: Settings) -> Iterator[str]:
    """The URL of a running server of this home, which has announced itself there."""
    ports = choose_ports(settings)
    ports = replace(ports, mlflow=settings.mlflow.port or ports.mlflow)
    row = next(row for row in rows(settings, ports) if row.name == "mlflow")
    process = subprocess.Popen(
        row.argv,
        env=child_environment(dict(row.environment)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call
    )
    url = f"http://127.0.0.1:{ports.mlflow}"
    try:
        _wait(url, process)
        announce(settings.home, "mlflow", ports.mlflow)
        yield url
    finally:
        process.kill()
        process.wait(10)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the MLflow server ended"
        try:
            if httpx.get(f"{url}/health", trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError("the MLflow server did not start")
