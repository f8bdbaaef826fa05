"""A small house of fake processes under a real supervisor."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# A process that listens through a grandchild, as a server with workers does; in one that left its parent's session.
SERVER = """
import json, os, pathlib, socket, subprocess, sys, time
home, name, port, apart = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] == "apart"
worker = '''
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", %d), Answer).serve_forever()
''' % port
child = subprocess.Popen([sys.executable, "-c", worker], start_new_session=apart)
while True:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close(); break
    except OSError:
        time.sleep(0.02)
(home / "run" / f"{name}.json").write_text(json.dumps({"name": name, "pid": os.getpid(), "port": port}))
(home / f"{name}.pids").write_text(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""

DIES = "import sys; print('no luck'); sys.exit(3)"

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"

SUPERVISOR = """
import json, os, sys
from pathlib import Path
from serving.supervisor import keeper
from serving.supervisor.guardian import guard
from serving.supervisor.table import Row
home, table = Path(sys.argv[1]), json.loads(sys.argv[2])
keeper.GENTLE_SECONDS = 1.0
rows = tuple(Row(**{**row, "argv": (sys.executable, *row["argv"])}) for row in table)
sys.exit(guard(home, lambda: keeper.Keeper(home, rows, dict(os.environ)).run()))
"""


@dataclass(frozen=True)
class House:
    home: Path
    guardian: subprocess.Popen[bytes]

    def board(self) -> dict[str, dict[str, object]]:
        try:
            rows = json.loads((self.home / "run" / "supervisor.json").read_text())
        except FileNotFoundError:
            return {}
        return {row["name"]: row for row in rows}

    def states(self) -> dict[str, object]:
        return {name: row["state"] for name, row in self.board().items()}

    def pid(self, name: str) -> int:
        pid = self.board()[name]["pid"]
        assert isinstance(pid, int)
        return pid

    def family_of(self, name: str) -> set[int]:
        return {int(pid) for pid in (self.home / f"{name}.pids").read_text().split()}

    def words(self) -> str:
        return (self.home / "out.txt").read_text()

    def supervisor(self) -> int:
        return int((self.home / "run" / "supervisor.lock").read_text())


def server(home: Path, name: str, port: int, *, apart: bool = False, essential: bool = True) -> dict[str, object]:
    argv = ["-c", SERVER, str(home), name, str(port), "apart" if apart else "together"]
    return {"name": name, "argv": argv, "port": port, "essential": essential}


def program(name: str, code: str) -> dict[str, object]:
    return {"name": name, "argv": ["-c", code], "port": None, "essential": False}


@contextmanager
def house(home: Path, *table: dict[str, object]) -> Iterator[House]:
    argv = [sys.executable, "-c", SUPERVISOR, str(home), json.dumps(table)]
    with (home / "out.txt").open("ab") as out, subprocess.Popen(argv, stdout=out, stderr=out) as guardian:
        try:
            yield House(home, guardian)
        finally:
            guardian.send_signal(signal.SIGTERM)
            try:
                guardian.wait(20)
            except subprocess.TimeoutExpired:
                guardian.kill()
                raise


def gone(pids: set[int]) -> bool:
    return not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
