"""The stage: a home of its own, stand-ins for PACS, RIS and EHR, people with tokens, and the command line over it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.cli.demo_stage import SETTINGS, stand_ins

RADLOOP = Path(sys.executable).with_name("radloop")
SENDER = "PHANTOMS"
READERS = ("rosa", "ravi")
APPROVERS = ("anna", "ben")
TRAINER = "mira"
PEOPLE = (*READERS, *APPROVERS, TRAINER)

LEARNING = """
[consent]
policy = "training"
[training]
agreements = 0.5
threads = 2
[standing]
watch_seconds = 1.0
[readers.rosa]
ids = ["R1"]
names = ["REED^ROSA"]
[readers.ravi]
ids = ["R2"]
names = ["RAO^RAVI"]
"""


@dataclass
class Stage:
    """A radloop of our own, driven as a user drives it."""

    home: Path
    ports: Mapping[str, int]
    folder: Path
    tokens: dict[str, str] = field(default_factory=dict)

    def cli(
        self, *argv: str, who: str = "", check: bool = True, seconds: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """`radloop ARGV` in the name of `who` (else of the operating system's user)."""
        token = {"RADLOOP_TOKEN": self.tokens[who]} if who else {}
        done = subprocess.run(
            [RADLOOP, *argv],
            env={**os.environ, **token, "RADLOOP_HOME": str(self.home), "NO_COLOR": "1", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode:
            raise SystemExit(f"radloop {' '.join(argv)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *argv: str, who: str = "") -> Any:
        """What `radloop ARGV --json` prints."""
        return json.loads(self.cli(*argv, "--json", who=who).stdout)

    def refused(self, *argv: str, who: str = "") -> str:
        """The sentence with which a command is refused; the run ends where it is not refused."""
        done = self.cli(*argv, who=who, check=False)
        if not done.returncode:
            raise SystemExit(f"radloop {' '.join(argv)} should have been refused:\n{done.stdout}")
        return done.stderr.strip().removeprefix("radloop: ")

    def port(self, name: str) -> int:
        """Where one of our processes listens."""
        said: dict[str, Any] = json.loads((self.home / "run" / f"{name}.json").read_text())
        return int(said["port"])

    def send(self, files: Sequence[Path]) -> float:
        """C-STORE to our gateway; seconds."""
        begun = time.monotonic()
        for start in range(0, len(files), 100):
            self.cli("send", "--aet", SENDER, *map(str, files[start : start + 100]))
        return time.monotonic() - begun

    def studies(self) -> dict[str, Any]:
        """The rows of `radloop studies --json` by study UID."""
        return {row["study_uid"]: row for row in self.json("studies")}

    def answered(self, uids: Sequence[str], seconds: float = 300) -> dict[str, Any]:
        """Wait until every one of these studies is answered (or signed); their rows."""
        deadline = time.monotonic() + seconds
        while True:
            rows = self.studies()
            waiting = [u for u in uids if u not in rows or rows[u]["state"] not in ("ANSWERED", "SIGNED")]
            if not waiting:
                return {uid: rows[uid] for uid in uids}
            if time.monotonic() > deadline:
                raise SystemExit(f"{len(waiting)} of {len(uids)} studies were not answered within {seconds:.0f} s")
            time.sleep(1.0)

    def versions(self, model: str) -> list[dict[str, Any]]:
        """The rows of `radloop models list --json` of one model."""
        return [row for row in self.json("models", "list") if row["name"] == model]

    def champion(self, model: str) -> dict[str, Any] | None:
        """The version that answers."""
        return next((row for row in self.versions(model) if row["standing"] == "CHAMPION"), None)


@contextmanager
def stage(*, bare: bool) -> Iterator[Stage]:
    """`radloop init`, people, `radloop up --wait`; everything is stopped at the end, the folder is kept."""
    folder = Path(tempfile.mkdtemp(prefix="radloop-loop-"))
    with ExitStack() as stack:
        ports = stack.enter_context(stand_ins(folder / "peers"))
        home = folder / "home"
        home.mkdir(mode=0o700)
        (home / "radloop.toml").write_text(SETTINGS.format(sender=SENDER, **ports) + LEARNING)
        made = Stage(home, ports, folder)
        made.cli("init", *(("--bare",) if bare else ()))
        for name in PEOPLE:
            made.tokens[name] = made.json("actor", "add", name)["token"]
        stack.callback(made.cli, "down", check=False)
        made.cli("up", "--wait")
        yield made
