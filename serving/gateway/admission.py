"""Who may come in: by AE title and address, or by address and role. Everyone else is a stranger.

Where certificates are asked for, whoever shows one must be its holder too: `is_holder`.
"""

import ipaddress
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from radloop.domain.enums import PeerRole
from radloop.settings import Peer
from radloop.tls import Holder

RESOLVE_AGAIN_SECONDS: Final = 60.0
_SPEAKING: Final = frozenset((PeerRole.ORDERS, PeerRole.REPORTS))


@dataclass(frozen=True, slots=True)
class _Resolved:
    addresses: frozenset[str]
    until: float


class Doorkeeper:
    """Knows the peers. A peer's host name is looked up again every minute; numbers never are."""

    def __init__(self, peers: Mapping[str, Peer]) -> None:
        self._peers = tuple(peers.values())
        self._names: dict[str, _Resolved] = {}

    def calling(self, ae_title: str, address: str) -> tuple[Peer, ...]:
        """The peers that call themselves `ae_title` and come from `address`; sources before others."""
        titled = (peer for peer in self._peers if (peer.ae_title or "").strip() == ae_title.strip() != "")
        return tuple(self._from(sorted(titled, key=_is_no_source), address))

    def speaking(self, address: str) -> tuple[Peer, ...]:
        """The peers that may send HL7 from `address`: orders, or reports; more than one may share it."""
        return tuple(self._from((peer for peer in self._peers if peer.mllp and _SPEAKING & {*peer.roles}), address))

    def _from(self, peers: Iterable[Peer], address: str) -> Iterator[Peer]:
        return (peer for peer in peers if any(address in self._addresses(host) for host in _hosts(peer)))

    def _addresses(self, host: str) -> frozenset[str]:
        known = self._names.get(host)
        if known is None or known.until < time.monotonic():
            known = self._names[host] = _resolve(host)
        return known.addresses


def is_holder(peer: Peer, holder: Holder | None) -> bool:
    """Whether the certificate that was shown is this peer's; where none is asked for, everyone's is.

    Without `certificate_names` a certificate that names AEs is for those alone, and any other says nothing.
    """
    if peer.certificate_names:
        return holder is not None and holder.is_one_of(peer.certificate_names)
    return holder is None or not holder.ae_titles or (peer.ae_title or "").strip() in holder.ae_titles


def _is_no_source(peer: Peer) -> bool:
    return PeerRole.SOURCE not in peer.roles


def _hosts(peer: Peer) -> Iterator[str]:
    if peer.host:
        yield peer.host
    yield from peer.addresses
    if peer.mllp:
        yield peer.mllp.rpartition(":")[0].strip("[]")


def _resolve(host: str) -> _Resolved:
    with suppress(ValueError):
        return _Resolved(frozenset((str(ipaddress.ip_address(host)),)), float("inf"))
    found: list[str] = []
    with suppress(OSError, UnicodeError):
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    return _Resolved(frozenset(found), time.monotonic() + RESOLVE_AGAIN_SECONDS)
