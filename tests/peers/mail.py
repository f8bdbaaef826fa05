"""A mail server for tests: enough of RFC 5321 and RFC 3207 for smtplib to be satisfied, over a real socket."""

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any


@dataclass
class MailServer:
    """What the server does, and what it got."""

    port: int = 0
    tls: ssl.SSLContext | None = None
    refuse: dict[str, str] = field(default_factory=dict)
    """Verb to the reply instead of its own, e.g. {"RCPT": "550 no such user"}."""
    mails: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    secret: list[bool] = field(default_factory=list)
    """For each mail, whether its connection was encrypted."""


class _Session(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self) -> None:
        server: MailServer = self.server.kept  # type: ignore[attr-defined]
        encrypted = False
        self._say("220 test")
        while line := self.rfile.readline():
            verb = line.split(b" ")[0].strip().upper().decode()
            if verb in server.refuse:
                self._say(server.refuse[verb])
                continue
            match verb:
                case "EHLO" | "HELO":
                    extra = ["250-STARTTLS"] if server.tls and not encrypted else []
                    self._say("\r\n".join(["250-test", *extra, "250 AUTH PLAIN"]))
                case "STARTTLS" if server.tls:
                    self._say("220 go")
                    try:
                        self.connection = server.tls.wrap_socket(self.connection, server_side=True)
                    except (ssl.SSLError, OSError):
                        return
                    self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
                    encrypted = True
                case "AUTH":
                    _, user, password = base64.b64decode(line.split(b" ")[2]).split(b"\0")
                    server.logins.append((user.decode(), password.decode()))
                    self._say("235 ok")
                case "RCPT":
                    server.recipients.append(line.decode().strip())
                    self._say("250 ok")
                case "DATA":
                    self._say("354 go")
                    server.mails.append(message_from_bytes(self._data()))
                    server.secret.append(encrypted)
                    self._say("250 kept")
                case "QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("250 ok")

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def _data(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        return b"".join(lines)

    def _say(self, reply: str) -> None:
        self.wfile.write(reply.encode() + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    kept: Any


@contextmanager
def mail_server(tls: ssl.SSLContext | None = None) -> Iterator[MailServer]:
    """A mail server on a free port of loopback."""
    kept = MailServer(tls=tls)
    with _Server(("127.0.0.1", 0), _Session) as server:
        server.kept = kept
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield kept
        server.shutdown()
        thread.join(5)
