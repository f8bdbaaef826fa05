import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radloop.domain.errors import Unavailable
from radloop.process import announce, announced, free_port
from serving.supervisor import board, control, family, keeper
from serving.supervisor.board import Entry, ProcessState
from tests.clock import until
from tests.peers.strace import attached, strace
from tests.serving.supervisor.house import DIES, STUBBORN, gone, house, kill, program, server


def test_every_process_becomes_ready_and_says_its_port(tmp_path: Path) -> None:
    port = free_port()
    with house(tmp_path, server(tmp_path, "one", port)) as it:
        until(lambda: it.states() == {"one": "READY"}, 20)
        said = announced(tmp_path, "one")
        assert said is not None
        assert said.port == port == it.board()["one"]["port"]


def test_a_third_party_server_is_announced_when_its_health_endpoint_answers(tmp_path: Path) -> None:
    row = {**server(tmp_path, "unheard", free_port()), "name": "web", "health": "/health"}
    with house(tmp_path, row) as it:
        until(lambda: it.states() == {"web": "READY"}, 20)
        said = announced(tmp_path, "web")
        assert said is not None
        assert said.port == row["port"]


@pytest.mark.parametrize("apart", [False, True], ids=["same session", "session of its own"])
def test_after_kill_9_of_a_child_its_worker_dies_and_a_new_one_takes_the_port(tmp_path: Path, apart: bool) -> None:
    rows = [server(tmp_path, "one", free_port(), apart=apart), server(tmp_path, "two", free_port())]
    with house(tmp_path, *rows) as it:
        until(lambda: set(it.states().values()) == {"READY"}, 20)
        before, other = it.family_of("one"), it.family_of("two")
        kill(it.pid("one"))
        until(lambda: gone(before), 20)
        until(lambda: it.states()["one"] == "READY" and it.family_of("one") != before, 20)
        assert it.family_of("two") == other
        assert not gone(other)


def test_after_kill_9_of_many_at_nearly_the_same_time_all_come_back(tmp_path: Path) -> None:
    names = ["one", "two", "three", "four"]
    with house(tmp_path, *(server(tmp_path, name, free_port(), apart=True) for name in names)) as it:
        until(lambda: set(it.states().values()) == {"READY"}, 20)
        before = {name: it.pid(name) for name in names}
        for name in reversed(names):
            kill(before[name])
            time.sleep(0.008)
        until(lambda: all(it.states()[name] == "READY" and it.pid(name) != before[name] for name in names), 20)
        assert gone(set(before.values()))


@pytest.mark.parametrize("victim", ["supervisor", "guardian"])
def test_after_kill_9_of_either_parent_nothing_is_left_and_the_ports_are_free(tmp_path: Path, victim: str) -> None:
    rows = [server(tmp_path, "one", free_port(), apart=True), server(tmp_path, "two", free_port())]
    with house(tmp_path, *rows) as it:
        until(lambda: set(it.states().values()) == {"READY"}, 20)
        everyone = it.family_of("one") | it.family_of("two") | {it.supervisor()}
        kill(it.supervisor() if victim == "supervisor" else it.guardian.pid)
        until(lambda: gone(everyone) and not board.held(tmp_path), 20)
    for row in rows:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", int(str(row["port"]))))


def test_what_outlived_both_parents_ends_at_the_next_start(tmp_path: Path) -> None:
    row = server(tmp_path, "one", free_port(), apart=True)
    with house(tmp_path, row) as it:
        until(lambda: it.states() == {"one": "READY"}, 20)
        supervisor, before = it.supervisor(), it.family_of("one")
        os.kill(it.guardian.pid, signal.SIGSTOP)
        kill(supervisor)
        kill(it.guardian.pid)
        until(lambda: not board.held(tmp_path), 20)
    with house(tmp_path, row) as it:
        until(lambda: it.states() == {"one": "READY"} and it.family_of("one") != before, 20)
        assert gone(before)


def test_a_process_that_keeps_dying_is_started_again_ever_more_slowly_and_its_words_are_kept(tmp_path: Path) -> None:
    with house(tmp_path, program("unlucky", DIES)) as it:
        until(lambda: it.board().get("unlucky", {}).get("failures") == 3, 20)
        assert it.board()["unlucky"]["exit_code"] == 3
        assert it.states() == {"unlucky": "RESTARTING"} or it.states() == {"unlucky": "STARTING"}
        assert "no luck" in control.tail(tmp_path, "unlucky")


def test_half_an_announcement_is_none_and_ends_nothing(tmp_path: Path) -> None:
    half = "import pathlib, time; pathlib.Path({!r}).write_text('{{'); time.sleep(600)"
    rows = program("half", half.format(str(tmp_path / "run" / "half.json"))), server(tmp_path, "one", free_port())
    with house(tmp_path, *rows) as it:
        until((tmp_path / "run" / "half.json").exists, 20)
        until(lambda: it.states() == {"half": "STARTING", "one": "READY"}, 20)


def test_what_cannot_be_started_is_tried_again_and_the_others_run_on(tmp_path: Path) -> None:
    in_the_way = tmp_path / "logs" / "one.log"
    in_the_way.mkdir(parents=True)
    with house(tmp_path, server(tmp_path, "one", free_port()), server(tmp_path, "two", free_port())) as it:
        until(lambda: it.states() == {"one": "RESTARTING", "two": "READY"}, 20)
        in_the_way.rmdir()
        until(lambda: set(it.states().values()) == {"READY"}, 20)
    assert it.words().count("start one") == 1


def test_without_room_for_another_process_the_others_run_on_and_it_is_started_when_there_is(tmp_path: Path) -> None:
    with house(tmp_path, server(tmp_path, "one", free_port()), server(tmp_path, "two", free_port())) as it:
        until(lambda: set(it.states().values()) == {"READY"}, 20)
        supervisor, other, forks = it.supervisor(), it.family_of("two"), "clone,clone3,fork,vfork"
        no_room = strace("-p", str(supervisor), "-o", "/dev/null", "-e", f"inject={forks}:error=EAGAIN")
        with attached(no_room, supervisor):
            kill(it.pid("one"))
            until(lambda: "start one" in it.words(), 20)
            assert it.states() == {"one": "RESTARTING", "two": "READY"}
        until(lambda: it.states()["one"] == "READY", 20)
        assert it.family_of("two") == other


def test_a_process_whose_name_the_kernel_cut_within_a_character_is_seen_like_any_other() -> None:
    name = "a" * 14 + "é"
    code = f"import time; open('/proc/self/comm', 'wb').write({name.encode()!r}); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            comm = Path(f"/proc/{process.pid}/comm")
            until(lambda: comm.read_bytes() == name.encode()[:15] + b"\n", 20)
            assert (process.pid, os.getpid()) in {(kin.pid, kin.parent) for kin in family.living()}
        finally:
            process.kill()


def test_a_board_that_cannot_be_written_stops_no_restart_and_is_written_when_it_can_be(tmp_path: Path) -> None:
    with house(tmp_path, server(tmp_path, "one", free_port())) as it:
        until(lambda: it.states() == {"one": "READY"}, 20)
        before, in_the_way = it.family_of("one"), tmp_path / "run" / f".supervisor.{it.supervisor()}"
        in_the_way.mkdir()
        kill(it.pid("one"))
        until(lambda: it.family_of("one") not in (before, set()) and announced(tmp_path, "one"), 20)
        in_the_way.rmdir()
        until(lambda: it.states() == {"one": "READY"} and it.pid("one") in it.family_of("one"), 20)


def test_a_server_whose_announcement_cannot_be_written_is_ready_when_it_can_be(tmp_path: Path) -> None:
    row = {**server(tmp_path, "unheard", free_port()), "name": "web", "health": "/health"}
    with house(tmp_path, row, program("busy", "import time; time.sleep(600)")) as it:
        until(it.board, 20)
        in_the_way = tmp_path / "run" / f".web.{it.supervisor()}"
        in_the_way.mkdir()
        until(lambda: "announce web" in it.words(), 20)
        assert it.states()["web"] == "STARTING"
        in_the_way.rmdir()
        until(lambda: it.states()["web"] == "READY", 20)


def test_a_supervisor_that_fails_says_why(tmp_path: Path) -> None:
    with house(tmp_path, {**program("one", ""), "environment": None}) as it:
        assert it.guardian.wait(20) == 1
    assert "TypeError" in it.words()


def test_stop_ends_even_a_process_that_does_not_listen(tmp_path: Path) -> None:
    with house(tmp_path, program("stubborn", STUBBORN), server(tmp_path, "one", free_port())) as it:
        until(lambda: it.states().get("one") == "READY", 20)
        everyone = it.family_of("one") | {it.pid("stubborn"), it.supervisor()}
        assert control.stop(tmp_path)
        assert gone(everyone)
        assert it.guardian.wait(5) == 0
    assert not control.stop(tmp_path)


def test_only_one_supervisor_runs_for_a_home(tmp_path: Path) -> None:
    held = board.take_lock(tmp_path)
    with pytest.raises(Unavailable):
        board.take_lock(tmp_path)
    os.close(held)
    os.close(board.take_lock(tmp_path))


def test_logs_are_private_and_a_large_one_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "LOG_BYTES", 10)
    with house(tmp_path, program("unlucky", DIES)) as it:
        until(lambda: it.board().get("unlucky", {}).get("failures") == 2, 20)
    log = tmp_path / "logs" / "unlucky.log"
    assert log.stat().st_mode & 0o777 == 0o600
    assert keeper.log_file(tmp_path, "unlucky") == log
    assert not log.exists()
    assert "no luck" in (tmp_path / "logs" / "unlucky.log.1").read_text()


def test_without_a_supervisor_the_board_is_empty(tmp_path: Path) -> None:
    entry = Entry(name="one", pid=1, state=ProcessState.READY, port=None, essential=True)
    board.write_board(tmp_path, [entry])
    assert board.read_board(tmp_path) == ()
    lock = board.take_lock(tmp_path)
    assert [found.name for found in board.read_board(tmp_path)] == ["one"]
    os.close(lock)


def test_a_process_that_took_its_announcement_back_is_not_called_ready(tmp_path: Path) -> None:
    board.write_board(tmp_path, [Entry(name="one", pid=1, state=ProcessState.READY, port=None, essential=True)])
    lock = board.take_lock(tmp_path)
    announce(tmp_path, "one", None)
    assert board.read_board(tmp_path)[0].state is ProcessState.READY
    (tmp_path / "run" / "one.json").unlink()
    assert board.read_board(tmp_path)[0].state is ProcessState.UNREADY
    os.close(lock)


def test_ready_means_that_the_essential_processes_are() -> None:
    gateway = Entry(name="gateway", pid=1, state=ProcessState.READY, port=1, essential=True)
    mlflow = Entry(name="mlflow", pid=2, state=ProcessState.STARTING, port=2, essential=False)
    assert control.is_ready((gateway, mlflow))
    assert not control.is_ready((mlflow,))
    assert not control.is_ready(())


@given(st.integers(min_value=1, max_value=10_000))
def test_the_pause_before_a_restart_grows_from_a_fifth_of_a_second_to_ten_seconds(failures: int) -> None:
    assert 0.2 <= keeper.pause_after(failures) <= keeper.pause_after(failures + 1) <= 10.0
