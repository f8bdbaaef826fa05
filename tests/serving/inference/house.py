"""A model server in a process of its own, with a home, a store and a bundle."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydantic import TypeAdapter
from pydicom import Dataset

from models.bundles import install
from radloop.domain.records import InferenceAnswer
from radloop.process import Announcement, announced
from radloop.settings import load_settings
from radloop.store import Keyring, LocalStore
from tests.peers.dicom_files import part10
from tests.peers.programs import _die_with_parent
from tests.serving.inference.bundle import NAME, write_tiny

START_SECONDS = 150.0
ANSWER = TypeAdapter(InferenceAnswer)


@dataclass
class ModelServer:
    """A running server and what is behind it."""

    home: Path
    digest: str
    announcement: Announcement
    process: subprocess.Popen[bytes]
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.announcement.port}", timeout=60.0, trust_env=False)

    @property
    def store(self) -> LocalStore:
        return open_store(self.home)

    def keep(self, ds: Dataset) -> dict[str, str]:
        """The reference to an instance that is now in the store."""
        return self.keep_bytes(part10(ds))

    def keep_bytes(self, data: bytes) -> dict[str, str]:
        key = self.store.put(data).key
        return {"id": f"in_{key[:8]}", "key": key}

    def question(self, *references: dict[str, str], **changes: Any) -> dict[str, Any]:
        return {"model": NAME, "digest": self.digest, "instances": list(references), **changes}

    def post(self, *references: dict[str, str], **changes: Any) -> httpx.Response:
        return self.http.post("/infer", json=self.question(*references, **changes))

    def ask(self, *references: dict[str, str], **changes: Any) -> InferenceAnswer:
        response = self.post(*references, **changes)
        assert response.status_code == 200, response.text
        return ANSWER.validate_json(response.content)

    @property
    def log(self) -> str:
        return (self.home / "log").read_text()


def open_store(home: Path) -> LocalStore:
    settings = load_settings(home)
    return LocalStore(settings.store_path, Keyring.load(settings.keys_path))


def install_tiny(home: Path, version: str = "1.0.0", seed: int = 7) -> Path:
    """The folder of a signed bundle in the home."""
    settings = load_settings(home)
    source = write_tiny(home / "sources" / f"{version}-{seed}", version, seed)
    return install(source, settings.models_path, Keyring.load(settings.keys_path).signing_key)


def make_home(home: Path, more: str = "") -> Path:
    home.mkdir(parents=True, exist_ok=True)
    (home / "radloop.toml").write_text(f"[inference]\nport = 0\n{more}\n")
    Keyring.create(load_settings(home).keys_path)
    return home


@contextmanager
def model_server(home: Path, digest: str) -> Iterator[ModelServer]:
    """A server on this home, awaited until it has announced itself; its log is `home/log`."""
    process = start(home)
    try:
        server = ModelServer(home, digest, wait_ready(home, process), process)
        with server.http:
            yield server
    finally:
        stop(process)


def start(home: Path) -> subprocess.Popen[bytes]:
    (home / "run" / "inference.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "serving.inference", "--home", str(home)]
    with (home / "log").open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call
        )


def wait_ready(home: Path, process: subprocess.Popen[bytes]) -> Announcement:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if said := announced(home, "inference"):
            return said
        assert process.poll() is None, (home / "log").read_text()
        time.sleep(0.05)
    raise AssertionError(f"not ready after {START_SECONDS} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5.0)
