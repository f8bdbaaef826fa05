"""Sending a batch over a connection of its own, and knowing that it was read: syslog itself has no answers."""

import socket
import ssl
import time
from collections.abc import Sequence
from typing import Final

from integrations.syslog.stream import Stream
from radloop.domain.errors import Permanent, RefusedByPeer, Unavailable
from radloop.settings import Syslog
from radloop.tls import SUITES

PATIENCE: Final = 6
"""A batch may take so many times as long as one write."""


def send(settings: Syslog, frames: Sequence[bytes]) -> None:
    """Hand over frames, in order. When this returns, the other side has read them all.

    Raises:
        Unavailable: it is away, slow, or went before it had read everything: send the same again later.
        RefusedByPeer: its certificate is not from the authority that the settings name, or it refuses ours.
        Permanent: our own TLS files cannot be used.
    """
    context = _context(settings)
    deadline = time.monotonic() + PATIENCE * settings.timeout_seconds
    host, _, port = settings.address.rpartition(":")
    host = host.strip("[]")
    try:
        with socket.create_connection((host, int(port)), timeout=settings.timeout_seconds) as sock:
            stream = Stream(sock, settings.timeout_seconds, deadline)
            stream.shake_hands(context, host)
            stream.write(b"".join(frames))
            stream.finish()
    except ssl.SSLCertVerificationError:
        raise RefusedByPeer("the audit server's certificate is not to be trusted") from None
    except ssl.SSLError as error:
        raise _meaning_of(error) from None
    except OSError as error:
        raise Unavailable(f"the audit server is away ({type(error).__name__})") from None


def _meaning_of(error: ssl.SSLError) -> Unavailable | RefusedByPeer:
    # RFC 8446 section 6.2: the alerts that speak of a certificate (and of an unknown authority).
    reason = error.reason or ""
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return RefusedByPeer("the audit server refuses our certificate")
    return Unavailable(f"the audit server ended the connection ({reason or type(error).__name__})")


def _context(settings: Syslog) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
        context.set_ciphers(":".join(SUITES))
        if settings.certificate is not None:
            # Without a word of ours OpenSSL would ask the terminal for a passphrase.
            context.load_cert_chain(settings.certificate, settings.key, password="")
    except OSError as error:
        raise Permanent(f"[audit.syslog]: its TLS files cannot be used: {type(error).__name__}") from None
    return context
