"""Orthanc as a PACS, with its own configuration, database and ports."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.peers.programs import free_port, need, running, wait_for_port

PACKAGE = "orthanc"


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc. `url` is its REST interface."""

    port: int
    ae_title: str
    http_port: int

    @property
    def url(self) -> str:
        """Its REST interface."""
        return f"http://127.0.0.1:{self.http_port}"

    def get(self, path: str) -> httpx.Response:
        """GET a path of the REST interface."""
        return httpx.get(f"{self.url}{path}", timeout=10.0, trust_env=False).raise_for_status()

    @property
    def instances(self) -> list[str]:
        """Orthanc's own ids of everything it has."""
        found: list[str] = self.get("/instances").json()
        return found

    def file(self, instance: str) -> bytes:
        """The DICOM file of one instance."""
        return self.get(f"/instances/{instance}/file").content

    def upload(self, data: bytes) -> None:
        """Put a DICOM file in."""
        httpx.post(f"{self.url}/instances", content=data, timeout=10.0, trust_env=False).raise_for_status()


@contextmanager
def orthanc(
    ae_title: str = "ORTHANC",
    modalities: Mapping[str, tuple[str, str, int]] | None = None,
    port: int | None = None,
    **options: object,
) -> Iterator[Orthanc]:
    """Orthanc that knows `modalities` (name -> AE title, host, port); `options` are keys of its configuration."""
    program = need("Orthanc", PACKAGE)
    with tempfile.TemporaryDirectory(prefix="orthanc-") as home:
        port, http_port = port or free_port(), free_port()
        configuration = {
            "Name": ae_title,
            "StorageDirectory": f"{home}/storage",
            "IndexDirectory": f"{home}/storage",
            "Plugins": [],
            "DicomAet": ae_title,
            "DicomPort": port,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {name: list(peer) for name, peer in (modalities or {}).items()},
            "DicomModalitiesInDatabase": False,
            "HttpPort": http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "StableAge": 1,
            "OverwriteInstances": False,
            "SynchronousCMove": True,
            "DicomScuTimeout": 10,
            **options,
        }
        path = Path(home, "orthanc.json")
        path.write_text(json.dumps(configuration))
        with running([program, str(path)], Path(home, "log"), port):
            wait_for_port(http_port)
            yield Orthanc(port, ae_title, http_port)
