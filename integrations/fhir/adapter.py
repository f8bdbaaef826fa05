"""What the delivery flow sees: resources in, one outcome each, over HTTP."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote

import httpx

from integrations.fhir.responses import outcome_of
from radloop.domain.errors import Permanent, RadloopError, Unavailable
from radloop.domain.records import Accepted, Parcel
from radloop.settings import Peer
from radloop.tls import client_context

LONGEST_BODY = 64 * 1024
"""Bytes of a response that are read: enough for an OperationOutcome."""
MOST_FAILURES = 2
"""Requests in a row without any response before the rest of a batch waits."""


@dataclass(frozen=True, slots=True)
class FhirAdapter:
    """Creates resources by conditional create, so that a resend after a lost response makes no second one."""

    def send(self, peer: Peer, parcels: Sequence[Parcel]) -> tuple[Accepted | RadloopError, ...]:
        """POST every parcel, its data one DiagnosticReport, and give one outcome each, in order.

        `object.identifier` is the business identifier, "system|value". Redirects are not followed. Blocks: call it
        from a worker thread. Never raises for what a peer does.
        """
        try:
            return asyncio.run(_send(peer, parcels)) if parcels else ()
        except Permanent as error:
            return (error,) * len(parcels)


def capabilities(peer: Peer) -> None:
    """Ask for its CapabilityStatement (FHIR R4 section 3.1.0.10): whether it is there, and takes our token.

    Raises:
        Unavailable: it cannot be reached, or not now.
        RefusedByPeer: it refused.
        Permanent: it has no address, or what it needs of ours cannot be used.
    """
    outcome = asyncio.run(_capabilities(peer))
    if isinstance(outcome, RadloopError):
        raise outcome


async def _capabilities(peer: Peer) -> Accepted | RadloopError:
    try:
        async with (
            _client(peer) as client,
            asyncio.timeout(peer.connect_seconds + peer.answer_seconds),
            client.stream("GET", "metadata") as response,
        ):
            body = await _start_of_body(response)
            return outcome_of(peer.name, response.status_code, response.headers.get("Retry-After", ""), body)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
        return Unavailable(f"peer {peer.name} cannot be reached: {type(error).__name__}")


async def _send(peer: Peer, parcels: Sequence[Parcel]) -> tuple[Accepted | RadloopError, ...]:
    outcomes: list[Accepted | RadloopError] = []
    failures = 0
    async with _client(peer) as client:
        for parcel in parcels:
            if failures == MOST_FAILURES:
                outcomes.append(Unavailable(f"peer {peer.name} failed twice in a row"))
                continue
            try:
                outcomes.append(await _create(client, peer, parcel))
                failures = 0
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
                outcomes.append(Unavailable(f"peer {peer.name} cannot be reached: {type(error).__name__}"))
                failures += 1
    return tuple(outcomes)


async def _create(client: httpx.AsyncClient, peer: Peer, parcel: Parcel) -> Accepted | RadloopError:
    # FHIR R4 section 3.1.0.8.1: a conditional create, keyed by a search on the business identifier.
    headers = {"If-None-Exist": f"identifier={quote(parcel.object.identifier, safe='')}"}
    # A server that sends a byte at a time keeps every timeout of httpx alive: this one is for the whole exchange.
    async with asyncio.timeout(peer.connect_seconds + peer.answer_seconds):
        async with client.stream("POST", "DiagnosticReport", content=parcel.data, headers=headers) as response:
            body = await _start_of_body(response)
            return outcome_of(peer.name, response.status_code, response.headers.get("Retry-After", ""), body)


async def _start_of_body(response: httpx.Response) -> bytes:
    """What there is to read of a body that matters only where it explains a refusal."""
    body = b""
    if response.is_success:
        return body
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= LONGEST_BODY:
            break
    return body[:LONGEST_BODY]


def _client(peer: Peer) -> httpx.AsyncClient:
    if peer.fhir is None:
        raise Permanent(f"peer {peer.name} has no FHIR address")
    return httpx.AsyncClient(
        base_url=peer.fhir.rstrip("/") + "/",
        headers=_headers(peer),
        timeout=httpx.Timeout(peer.answer_seconds, connect=peer.connect_seconds),
        verify=client_context(peer, peer.tls) if peer.tls else _system_trust(),
        follow_redirects=False,
        trust_env=False,  # settings come from radloop.toml alone
    )


@cache
def _system_trust() -> ssl.SSLContext:
    """The authorities that the system trusts: a hospital installs its own there. Slow to load, so kept."""
    return ssl.create_default_context()


def _headers(peer: Peer) -> Mapping[str, str]:
    headers = {
        "Content-Type": "application/fhir+json",
        "Accept": "application/fhir+json",
        "Accept-Encoding": "identity",
        "Prefer": "return=minimal",
    }
    if peer.token_file is not None:
        headers["Authorization"] = f"Bearer {_token(peer)}"
    return headers


def _token(peer: Peer) -> str:
    """Read at every batch, so that a renewed token is used without a restart."""
    try:
        token = peer.token_file.read_text(encoding="ascii").strip() if peer.token_file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"peer {peer.name}: its token_file cannot be read: {type(error).__name__}") from None
    if not token or not token.isprintable():
        raise Permanent(f"peer {peer.name}: its token_file holds no token")
    return token


ADAPTER = FhirAdapter()
