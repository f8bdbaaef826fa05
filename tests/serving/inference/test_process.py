"""The process itself: what happens when it is killed, hurried, flooded, or cannot start."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from models.phantoms import chest
from radloop.process import announced
from tests.clock import until
from tests.peers.programs import free_port
from tests.serving.inference.house import ModelServer, install_tiny, make_home, model_server, start, stop, wait_ready

FLOOD = 200


def descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


async def flood(server: ModelServer, reference: dict[str, str]) -> list[httpx.Response]:
    """`FLOOD` questions at once."""
    limits = httpx.Limits(max_connections=FLOOD)
    async with httpx.AsyncClient(base_url=server.http.base_url, timeout=60.0, trust_env=False, limits=limits) as client:
        asking = [client.post("/infer", json=server.question(reference)) for _ in range(FLOOD)]
        return list(await asyncio.gather(*asking))


def gone_within(processes: list[psutil.Process], seconds: float) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.timeout(400)
def test_kill_9_leaves_no_orphan_and_the_restart_takes_the_same_port_and_gives_the_same_bits(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    port = free_port()
    (home / "radloop.toml").write_text(f"[inference]\nport = {port}\n")
    digest = install_tiny(home).name
    pictures = []
    for _ in range(2):
        process = start(home)
        try:
            server = ModelServer(home, digest, wait_ready(home, process), process)
            assert server.announcement.port == port
            assert server.announcement.pid == process.pid
            with server.http:
                (score,) = server.ask(server.keep(chest(1, opacity=True, rows=128))).scores
            pictures.append((score.probability, server.store.get(score.heatmap_key or "")))
            children = descendants(process.pid)
            assert children
            process.kill()
            process.wait(5.0)
            assert gone_within(children, 5.0)
            assert announced(home, "inference") is None
        finally:
            stop(process)
    assert pictures[0] == pictures[1]


@pytest.mark.timeout(400)
def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    script = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-m', 'serving.inference', '--home', {str(home)!r}])\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    try:
        said = wait_ready(home, parent)
        family = [psutil.Process(said.pid), *descendants(said.pid)]
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(5.0)
        assert gone_within(family, 5.0)
    finally:
        parent.kill()
        parent.wait(5.0)


@pytest.mark.timeout(400)
def test_a_flood_is_answered_in_time_or_told_when_to_ask_again(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", "deadline_seconds = 2.0\nretry_seconds = 3.0")
    with model_server(home, install_tiny(home).name) as server:
        reference = server.keep(chest(2, opacity=True, rows=1024))
        server.post(reference)
        started = time.monotonic()
        responses = asyncio.run(flood(server, reference))
        took = time.monotonic() - started
        refused = [response for response in responses if response.status_code != 200]
        assert {response.status_code for response in refused} == {503}
        assert {response.headers["Retry-After"] for response in refused} == {"3"}
        assert {response.json()["code"] for response in refused} <= {"overloaded", "deadline"}
        assert "overloaded" in {response.json()["code"] for response in refused}
        assert took < 30.0
        until(lambda: server.post(reference).status_code == 200, 30.0)


def test_a_taken_port_is_said_in_one_line(tmp_path: Path, server: ModelServer) -> None:
    home = make_home(tmp_path / "home")
    (home / "radloop.toml").write_text(f"[inference]\nport = {server.announcement.port}\n")
    command = [sys.executable, "-m", "serving.inference", "--home", str(home)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60.0, check=False)
    assert ended.returncode == 1
    assert "Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_home_without_settings_is_said_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serving.inference", "--home", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60.0, check=False)
    assert ended.returncode == 1
    assert "radloop.toml" in ended.stderr
    assert "Traceback" not in ended.stderr
