"""A gateway for tests: a home of its own, free ports, in this process or in one of its own."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from sqlalchemy import select

from radloop.domain.records import Blob, Instance, Quarantined
from radloop.ledger import Ledger, instances, quarantine, studies
from radloop.ledger.tables import audit_events
from radloop.process import Announcement, announced
from radloop.settings import load_settings
from radloop.store import Keyring, LocalStore
from serving.gateway.gateway import Gateway, Place

AE_TITLE = "RADLOOP"
SOURCE = "MODALITY"
START_SECONDS = 30.0

PEERS = """
[peers.modality]
ae_title = "MODALITY"
host = "127.0.0.1"
roles = ["source"]
[peers.workstation]
ae_title = "WORKSTATION"
host = "127.0.0.1"
port = 104
roles = ["results"]
[peers.elsewhere]
ae_title = "ELSEWHERE"
host = "192.0.2.7"
roles = ["source"]
[peers.ris]
mllp = "127.0.0.1:2576"
hl7_from = "RIS|HOSPITAL"
roles = ["orders"]
"""


@dataclass
class Door:
    """A running gateway: where it listens, and what is behind it."""

    home: Path
    dicom_port: int
    hl7_port: int
    pid: int

    @cached_property
    def store(self) -> LocalStore:
        settings = load_settings(self.home)
        return LocalStore(settings.store_path, Keyring.load(settings.keys_path))

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(load_settings(self.home).ledger_url)

    def close(self) -> None:
        if "ledger" in self.__dict__:
            self.ledger.close()

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Everything on record, in the order of arrival."""
        with self.ledger.read() as conn:
            return tuple(
                instance
                for study in studies.latest(conn, None, None)
                for instance in instances.of_version(conn, study.id)
            )

    @property
    def set_aside(self) -> tuple[Quarantined, ...]:
        """What is in quarantine, newest first."""
        with self.ledger.read() as conn:
            return quarantine.latest(conn)

    def audited(self, action: str) -> list[str]:
        """The ids of what `action` was done to."""
        with self.ledger.read() as conn:
            return list(conn.scalars(select(audit_events.c.object_id).where(audit_events.c.action == action)))

    def file(self, blob: Blob) -> bytes:
        return self.store.get(blob.key)

    def keys(self) -> set[str]:
        """Every key at rest."""
        return set(self.store.keys())

    def temporaries(self) -> list[Path]:
        return list((load_settings(self.home).store_path / "tmp").iterdir())


@contextmanager
def closing_ledger(ledger: Ledger) -> Iterator[Ledger]:
    try:
        yield ledger
    finally:
        ledger.close()


def make_home(home: Path, gateway: str = "", peers: str = PEERS) -> Path:
    """A home with keys and tables; `gateway` adds lines to its table."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "radloop.toml").write_text(
        f'[gateway]\nae_title = "{AE_TITLE}"\ndicom_port = 0\nhl7_port = 0\n{gateway}\n{peers}'
    )
    load_settings(home)
    shutil.copytree(_template(), home, dirs_exist_ok=True)
    return home


@cache
def _template() -> Path:
    """Keys and empty tables, made once."""
    folder = tempfile.TemporaryDirectory(prefix="template-")
    atexit.register(folder.cleanup)
    home = Path(folder.name)
    Keyring.create(home / "keys")
    with closing_ledger(Ledger(f"sqlite:///{home / 'ledger.db'}")) as ledger:
        ledger.upgrade()
    return home


@contextmanager
def open_door(home: Path) -> Iterator[Door]:
    """A gateway in this process."""
    gateway = Gateway(load_settings(home), Place())
    gateway.start()
    door = Door(home, *gateway.ports, os.getpid())
    try:
        yield door
    finally:
        gateway.stop()
        door.close()


@contextmanager
def process_door(
    home: Path, *prefix: str, name: str = "gateway", index: int = 0
) -> Iterator[tuple[Door, subprocess.Popen[bytes]]]:
    """A gateway in a process of its own, under a prefix such as strace; its log is `home/log`."""
    command = [
        *prefix,
        sys.executable,
        "-m",
        "serving.gateway",
        "--home",
        str(home),
        "--name",
        name,
        "--index",
        str(index),
    ]
    with (home / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        said = _await(home, name, process)
        hl7 = _await(home, f"{name}.hl7", process) if index == 0 else None
        door = Door(home, said.port or 0, (hl7.port or 0) if hl7 else 0, said.pid)
        try:
            yield door, process
        finally:
            door.close()
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5.0)


def log_lines(home: Path, name: str = "gateway") -> list[dict[str, object]]:
    """What a gateway in a process of its own has logged."""
    return [json.loads(line) for line in (home / f"{name}.log").read_text().splitlines() if line.startswith("{")]


def _await(home: Path, name: str, process: subprocess.Popen[bytes]) -> Announcement:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            log = home / f"{name.removesuffix('.hl7')}.log"
            raise AssertionError(f"the gateway ended with {process.returncode}: {log.read_text()[-2000:]}")
        said = announced(home, name)
        if said is not None:
            return said
        time.sleep(0.02)
    raise AssertionError("the gateway is not ready in time")
