"""A FHIR server that answers each POST by a script: what an EHR may do, well-behaved or not."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Reply:
    """One response."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Request:
    """One request as it came. Header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class FhirPeer:
    """A running server: its address, and what it received."""

    port: int
    script: list[Reply]
    received: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}/fhir"

    def next_reply(self) -> Reply:
        """The next one of the script; its last one is repeated."""
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def operation_outcome(*codes: str) -> bytes:
    """An OperationOutcome whose text holds what must not be logged."""
    issues = [{"severity": "error", "code": code, "diagnostics": "secret patient text"} for code in codes]
    return json.dumps({"resourceType": "OperationOutcome", "issue": issues}).encode()


@contextmanager
def fhir_peer(*script: Reply) -> Iterator[FhirPeer]:
    """A server that answers request n with `script[n]`; 201 without a word where there is none."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            peer.received.append(Request(self.path, headers, body))
            reply = peer.next_reply()
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST  # noqa: N815 - the base class fixes the name

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    peer = FhirPeer(server.server_port, list(script or (Reply(201),)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)
