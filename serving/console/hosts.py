"""By which names this console may be asked for (Host, RFC 9110 section 7.2).

A page of somebody else's that points its own name at our address (DNS rebinding) is refused, and no address that we
give away is made of a Host that is not ours.
"""

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from radloop.settings.console import ConsoleSettings

LOOPBACK: Final = frozenset(("localhost", "ip6-localhost"))


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names of this console, in lower case, without ports."""

    names: frozenset[str]

    def know(self, host: str) -> bool:
        """Whether a Host is one of ours. An IP address always is: nobody can point one elsewhere.

        HTTP/1.0 sends none; no browser speaks that.
        """
        if not host:
            return True
        name = name_of(host)
        return name is not None and (name in self.names or _is_address(name))


def hosts_of(console: ConsoleSettings) -> Hosts:
    """`url`'s name, the name that it listens on, this machine's own, and localhost."""
    named = (urlsplit(console.url).hostname or "", console.host, socket.gethostname(), *LOOPBACK)
    return Hosts(frozenset(name.lower() for name in named if name))


def name_of(host: str) -> str | None:
    """The name in a Host, without its port; None where it is not of that form."""
    try:
        split = urlsplit(f"//{host}")
        _ = split.port
    except ValueError:
        return None
    # Whatever else stands in it (a user, a path) would come out again in addresses that are made of it.
    return split.hostname if split.netloc == host and "@" not in host and host.isascii() else None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
