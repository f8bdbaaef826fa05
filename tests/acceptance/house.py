"""A whole radloop of our own: its own home, free ports, driven by the command line as a user would."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clock import until

RADLOOP = Path(sys.executable).with_name("radloop")
UP_SECONDS = 120.0

PORTS = """
[gateway]
ae_title = "RADLOOP"
dicom_port = 0
hl7_port = 0
[inference]
port = 0
[prefect]
port = 0
[mlflow]
port = 0
[console]
port = 0
[completeness]
settle_seconds = 0.5
quiet_seconds = 3.0
[delivery]
longest_retry_seconds = 2.0
breaker_seconds = 1.0
[[routes]]
models = ["cxr_pneumonia"]
when = { modality = ["CR", "DX"], body_part = ["CHEST", ""] }
[[routes]]
models = ["brain_mr_tumour"]
when = { modality = ["MR"], body_part = ["BRAIN", "HEAD", ""] }
"""


@dataclass(frozen=True)
class House:
    """A home and the command line over it."""

    home: Path

    def cli(self, *argv: str, check: bool = True, seconds: float = 180.0) -> subprocess.CompletedProcess[str]:
        """`radloop ARGV`, its output kept."""
        done = subprocess.run(
            [RADLOOP, *argv],
            env={**os.environ, "RADLOOP_HOME": str(self.home), "NO_COLOR": "1", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check:
            assert done.returncode == 0, f"radloop {argv[0]}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *argv: str) -> Any:
        """What `radloop ARGV --json` prints."""
        return json.loads(self.cli(*argv, "--json").stdout)

    def studies(self) -> dict[str, Any]:
        """The rows of `radloop studies --json` by study UID."""
        return {row["study_uid"]: row for row in self.json("studies")}

    def status(self) -> Any:
        """What `radloop status --json` prints; it exits with 3 while something is not ready."""
        done = self.cli("status", "--json", check=False)
        assert done.returncode in (0, 3), done.stderr
        return json.loads(done.stdout)

    def ports(self) -> dict[str, int]:
        """The port of every process that listens, by name."""
        return {p["name"]: p["port"] for p in self.status()["processes"] if p["port"]}

    def pids(self) -> dict[str, int]:
        """The process id of every process, by name."""
        return {p["name"]: p["pid"] for p in self.status()["processes"]}

    @property
    def dicom_port(self) -> int:
        """Where the gateway listens."""
        return next(port for name, port in self.ports().items() if name.startswith("gateway"))

    def announced(self, name: str) -> dict[str, Any]:
        """What a process said when it was ready."""
        said: dict[str, Any] = json.loads((self.home / "run" / f"{name}.json").read_text())
        return said

    def answered(self, uids: Sequence[str], seconds: float, delivered: bool = True) -> dict[str, Any]:
        """Wait until every study is ANSWERED (and all its deliveries are through); their rows."""
        done = ("ACCEPTED", "COMMITTED")

        def through() -> bool:
            rows = self.studies()
            return all(
                uid in rows
                and rows[uid]["state"] == "ANSWERED"
                and (not delivered or all(d["state"] in done for d in rows[uid]["deliveries"]))
                for uid in uids
            )

        until(through, seconds, self.brief)
        return self.studies()

    def brief(self) -> str:
        """States only, for the message of a failed wait."""
        rows = self.studies().values()
        return str(
            [
                (row["state"], row["reason"], [(d["kind"], d["state"], d["error"]) for d in row["deliveries"]])
                for row in rows
            ]
        )

    def logs(self) -> str:
        """Every log, joined."""
        return "\n".join(path.read_text(errors="replace") for path in sorted((self.home / "logs").glob("*")))


@contextmanager
def house(home: Path, peers: str, settings: str = PORTS, up: bool = True) -> Iterator[House]:
    """`radloop init`, this radloop.toml, `radloop up --wait`; `radloop down` at the end."""
    made = House(home)
    made.cli("init")
    (home / "radloop.toml").write_text(settings + peers)
    try:
        if up:
            made.cli("up", "--wait", seconds=UP_SECONDS)
        yield made
    finally:
        made.cli("down", check=False)


def with_source(title: str, port: int | None = None, name: str = "modality") -> str:
    """A peer that may send to us from loopback."""
    where = f"port = {port}\n" if port else ""
    return f'[peers.{name}]\nae_title = "{title}"\nhost = "127.0.0.1"\n{where}roles = ["source"]\n'


def plain(text: str) -> str:
    """Without terminal colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
