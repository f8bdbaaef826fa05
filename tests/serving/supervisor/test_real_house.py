"""The real processes, started, killed and stopped by the command line."""

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.acceptance.house import PORTS, House, house, with_source
from tests.clock import until
from tests.serving.supervisor.house import gone

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]


def free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def supervisor(opened: House) -> int:
    return int((opened.home / "run" / "supervisor.lock").read_text())


@pytest.mark.campaign
def test_the_house_comes_up_survives_the_death_of_its_supervisor_and_goes_down_leaving_nothing(tmp_path: Path) -> None:
    with house(tmp_path / "home", with_source("MODALITY")) as opened:
        said = opened.json("status")
        assert said["ready"] is True
        assert said.keys() == {"ready", "processes", "counts", "quarantine", "stuck"}
        assert all(row.keys() == {"name", "pid", "state", "port"} for row in said["processes"])
        names = [row["name"] for row in said["processes"]]
        assert len(names) == len(set(names))
        assert {"gateway", "runner", "inference", "prefect", "worker", "mlflow"} <= set(names)
        assert supervisor(opened) not in opened.pids().values()
        everyone, ports = set(opened.pids().values()), set(opened.ports().values())
        os.kill(supervisor(opened), signal.SIGKILL)
        until(lambda: gone(everyone), 20)
        until(lambda: all(map(free, ports)), 10)
        assert opened.cli("status", check=False).returncode == 3
        # The gateway, the runner and inference come back without waiting for the servers.
        opened.cli("up")
        until(lambda: opened.cli("status", check=False).returncode == 0, 120)
        everyone, ports = set(opened.pids().values()) - {None}, set(opened.ports().values())
        opened.cli("down")
        assert gone(everyone)
        assert all(map(free, ports))


@pytest.mark.campaign
def test_a_port_that_is_taken_is_told_with_the_process_and_its_log(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        off = PORTS.replace("dicom_port = 0", f"dicom_port = {port}").replace(
            "[prefect]\nport = 0", "[prefect]\nenabled = false"
        )
        off = off.replace("[mlflow]\nport = 0", "[mlflow]\nenabled = false")
        with house(tmp_path / "home", "", off, up=False) as opened:
            done = opened.cli("up", "--wait", "--timeout", "60", check=False)
            assert done.returncode == 3
            assert "gateway is not ready" in done.stderr
            assert "Address already in use" in done.stderr
