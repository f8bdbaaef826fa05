"""The record of who did what, to an audit record repository: syslog (RFC 5424) over TLS (RFC 5425), by PS3.15 A.6."""

from integrations.syslog.message import framed
from integrations.syslog.sender import send

__all__ = ["framed", "send"]
