"""An EHR stand-in: a FHIR endpoint that takes DiagnosticReports and gives them back."""

import hashlib
import json
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from serving.standins.files import keep, made
from serving.standins.listener import IDLE_SECONDS, Listener
from serving.standins.script import Script

COLLECTION = "/fhir/DiagnosticReport"
LARGEST_RESOURCE = 32 * 1024 * 1024
BEHAVE = 0
"""A scripted status of 0: do what the request asks."""


class EhrStandIn:
    """Keeps each report as `folder/ID.json`, where ID is derived from its business identifier.

    POST is a conditional create where If-None-Exist is given: 201 once, then 200. `script` holds HTTP statuses that
    the first requests are answered with, without keeping anything; 0 behaves.
    """

    def __init__(self, folder: Path, *, host: str = "127.0.0.1", port: int = 0, script: Iterable[int] = ()) -> None:
        self.folder = made(folder)
        self._script = Script(script, BEHAVE)
        self._lock = threading.Lock()
        self._listener = Listener((host, port), _handler(self))
        self.port = self._listener.port
        self.url = f"http://{host}:{self.port}/fhir"

    def __enter__(self) -> Self:
        """Start listening."""
        self._listener.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self._listener.__exit__(kind, error, traceback)

    @property
    def reports(self) -> tuple[bytes, ...]:
        """Every report that it has."""
        return tuple(path.read_bytes() for path in sorted(self.folder.glob("*.json")))

    def scripted(self) -> int:
        """The status that the script wants for this request, or 0."""
        return self._script.next()

    def create(self, condition: str, resource: bytes) -> tuple[int, str]:
        """Keep a report unless the condition finds it: the HTTP status, and its id."""
        try:
            stated = _identifiers(resource)
        except ValueError:
            return 400, ""
        wanted = parse_qs(condition).get("identifier", [""])[0]
        if wanted and wanted not in stated:
            return 400, ""
        name = wanted or (stated[0] if stated else hashlib.sha256(resource).hexdigest())
        report_id = hashlib.sha256(name.encode()).hexdigest()[:32]
        with self._lock:
            if wanted and (self.folder / f"{report_id}.json").exists():
                return 200, report_id
            keep(self.folder, f"{report_id}.json", resource)
        return 201, report_id

    def find(self, report_id: str) -> bytes | None:
        """A report by its id."""
        # The name in a URL never becomes a path: it is looked for among ours.
        found = (path for path in self.folder.glob("*.json") if path.stem == report_id)
        return next((path.read_bytes() for path in found), None)


def _identifiers(resource: bytes) -> list[str]:
    """The business identifiers of a DiagnosticReport as "system|value".

    Raises:
        ValueError: it is no DiagnosticReport.
    """
    report = json.loads(resource)
    if not isinstance(report, dict) or report.get("resourceType") != "DiagnosticReport":
        raise ValueError("not a DiagnosticReport")
    return [f"{one.get('system', '')}|{one.get('value', '')}" for one in report.get("identifier", [])]


def _handler(ehr: EhrStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = IDLE_SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdigit() or int(length) > LARGEST_RESOURCE:
                self.close_connection = True
                return self._answer(413 if length.isdigit() else 411)
            resource = self.rfile.read(int(length))
            if status := ehr.scripted():
                return self._answer(status)
            if urlsplit(self.path).path != COLLECTION:
                return self._answer(404)
            status, report_id = ehr.create(self.headers.get("If-None-Exist", ""), resource)
            return self._answer(status, location=f"{COLLECTION}/{report_id}" if report_id else "")

        def do_GET(self) -> None:
            report = ehr.find(urlsplit(self.path).path.removeprefix(f"{COLLECTION}/"))
            return self._answer(404) if report is None else self._answer(200, body=report)

        def _answer(self, status: int, *, body: bytes = b"", location: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: a request line may name a patient's report."""

    return Handler
