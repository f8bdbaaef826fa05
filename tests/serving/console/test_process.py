"""The process itself: it says when it is ready, ends when told, and leaves no one behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from flows.house import House
from radloop.process import Announcement, announced
from tests.clock import until
from tests.flows import place

SECONDS = 60.0


@pytest.fixture
def home(house: House) -> Path:
    (house.settings.home / "radloop.toml").write_text(place.SETTINGS.format(**place.DEFAULTS) + "[console]\nport = 0\n")
    return house.settings.home


@pytest.fixture
def process(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    started = start(home)
    yield started
    started.kill()
    started.communicate(timeout=20)


def start(home: Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "serving.console", "--home", str(home)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def ready(home: Path, process: subprocess.Popen[bytes]) -> Announcement:
    until(lambda: announced(home, "console") is not None or process.poll() is not None, SECONDS)
    said = announced(home, "console")
    assert said is not None
    return said


def test_it_announces_its_port_answers_and_ends_cleanly(home: Path, process: subprocess.Popen[bytes]) -> None:
    said = ready(home, process)
    assert said.pid == process.pid
    answer = httpx.get(f"http://127.0.0.1:{said.port}/readyz", trust_env=False)
    assert answer.status_code == 200
    assert "server" not in answer.headers
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert b"Traceback" not in output


def test_it_ends_with_the_process_that_started_it(home: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'serving.console', '--home', sys.argv[1]])\n"
        "time.sleep(300)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(home)], stderr=subprocess.DEVNULL)
    try:
        said = ready(home, parent)
    finally:
        parent.kill()
        parent.wait(10)
    until(lambda: announced(home, "console") is None)
    with pytest.raises(ProcessLookupError):
        os.kill(said.pid, 0)


def test_a_port_that_is_taken_is_said_in_one_line(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        toml = home / "radloop.toml"
        toml.write_text(toml.read_text().replace("[console]\nport = 0", f"[console]\nport = {port}"))
        process = start(home)
        output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert b"Address already in use" in output
    assert b"Traceback" not in output
