"""`radloop demo` as a newcomer runs it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from radloop.domain.errors import RadloopError
from serving.cli.demo import _empty
from tests.clock import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]


def demo(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "serving.cli", "demo", "--folder", str(folder)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "160"},
        # As in a terminal: whoever runs the tests in the background has SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - one system call
    )  # fmt: skip


def still_there(folder: Path) -> list[int]:
    """Processes that name this folder in their arguments."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and str(folder).encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_the_demo_answers_shows_and_leaves_nothing_running(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with demo(folder) as running:
        out, err = running.communicate(timeout=360)
    assert running.returncode == 0, out + err
    for word in (
        "stand-ins of our own",
        "cxr_pneumonia",
        "brain_mr_tumour",
        "head_ct_haemorrhage",
        "no route matched",
        "pacs 2/2",
        "ris 1/1",
    ):
        assert word in out
    assert still_there(folder) == []
    assert len(list((folder / "pictures").glob("*.png"))) >= 7
    assert len(list((folder / "reports").glob("*SR.txt"))) >= 7
    assert len(list((folder / "reports").glob("*DiagnosticReport.json"))) >= 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_a_demo_that_is_ended_early_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "demo"
    with demo(folder) as running:
        until((folder / "home" / "run" / "supervisor.json").exists, 60)
        time.sleep(1.0)
        running.send_signal(number)
        running.communicate(timeout=60)
    assert running.returncode != 0
    until(lambda: still_there(folder) == [], 40)


def test_the_demo_refuses_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RadloopError, match="not empty"):
        _empty(tmp_path)
