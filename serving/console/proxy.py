"""MLflow and Prefect behind our door: their servers listen on loopback alone, and whoever may see them comes by here.

A fixed target for each: nothing of a request chooses the host. Of what the browser sends, only the headers that are
listed go on, so neither our cookies nor a token do; of what comes back, what is ours to say (cookies, policies of
security) and what is meant for one hop (RFC 9110 section 7.6.1) stays here. WebSockets are not passed on.
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx
from fastapi import Request
from fastapi.responses import StreamingResponse

from flows import servers
from flows.house import House
from radloop.domain.errors import NotFound, Unavailable
from serving.console.headers import guest_policy
from serving.console.identity import origin_of

TIMEOUT: Final = httpx.Timeout(60.0, connect=3.0)

PASSED_ON: Final = frozenset(
    (
        *("accept", "accept-encoding", "accept-language", "content-type", "range", "user-agent"),
        *("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"),
        *(
            "x-requested-with",
            "x-mlflow-workspace",
            "x-prefect-api-version",
            "prefect-csrf-token",
            "prefect-csrf-client",
        ),
    )
)
HOP_BY_HOP: Final = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authentication-info"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    )
)
OURS: Final = frozenset(
    (
        *("set-cookie", "www-authenticate", "authentication-info", "server", "date", "alt-svc", "clear-site-data"),
        *("content-security-policy", "content-security-policy-report-only", "strict-transport-security"),
        *("x-frame-options", "x-content-type-options", "referrer-policy", "permissions-policy", "refresh", "link"),
        *("cross-origin-opener-policy", "cross-origin-resource-policy", "cross-origin-embedder-policy"),
        *("access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-methods"),
        *("access-control-allow-headers", "access-control-expose-headers", "access-control-max-age"),
        *("service-worker-allowed", "sourcemap", "report-to", "reporting-endpoints", "nel"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A server of somebody else's behind our door.

    Args:
        name: as `flows.servers` knows it.
        title: as people know it.
        prefix: the path of ours that it stands under, without a slash at the end.
        served: the paths below it that are passed on, whole; no other is.
        mount: from which on of its own paths it is told; '' where it does not know that it stands under a prefix.
        bare: paths below the prefix at which it is asked without the prefix, whatever `mount` says.
        kept: paths below the prefix whose files change their name with their content: they may stay in the cache.
    """

    name: str
    title: str
    prefix: str
    served: re.Pattern[str]
    mount: str = ""
    bare: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


async def forward(request: Request, house: House, guest: Guest) -> StreamingResponse:
    """Ask the guest the same, and pass its answer on as it comes.

    Raises:
        NotFound: the path is not among those that are passed on.
        Unavailable: it does not run, or does not answer.
    """
    below = _below(request, guest)
    base = servers.url_of(house.settings, guest.name)
    if base is None:
        raise Unavailable(f"{guest.title} is not running")
    target = f"{'' if below.startswith(guest.bare) else guest.mount}{below}"
    asked = house.http.build_request(
        request.method,
        _url(base, target, request),
        headers={name: value for name, value in request.headers.items() if name in PASSED_ON},
        content=await request.body(),
        timeout=TIMEOUT,
    )
    answer = await _sent(house, guest, asked)
    try:
        headers = {
            **_headers(answer, guest, base, cached=below.startswith(guest.kept)),
            "content-security-policy": guest_policy(origin_of(request), guest.prefix),
        }
    except Unavailable:
        await answer.aclose()
        raise
    return StreamingResponse(_body(answer), status_code=answer.status_code, headers=headers)


async def _sent(house: House, guest: Guest, asked: httpx.Request) -> httpx.Response:
    try:
        return await house.http.send(asked, stream=True, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:  # InvalidURL: of a redirect, which httpx reads though
        raise Unavailable(f"{guest.title} cannot be reached: {type(error).__name__}") from None


def _below(request: Request, guest: Guest) -> str:
    """The path below the prefix, as it was sent: from a slash on, and never out again."""
    raw: bytes = request.scope["raw_path"]
    sent = raw.decode("ascii", "replace")
    prefix, below = sent[: len(guest.prefix)], sent[len(guest.prefix) :]
    if prefix != guest.prefix or not below.startswith("/"):
        raise NotFound("there is nothing under this address")
    *inner, last = below[1:].split("/")
    if any(map(_is_astray, inner)) or (last and _is_astray(last)) or not guest.served.fullmatch(below):
        raise NotFound("there is nothing under this address")
    return below


def _is_astray(segment: str) -> bool:
    """Whether a segment is none, a step up, or hides one (RFC 3986 section 5.2.4), however often it is encoded."""
    plain = unquote(unquote(segment))
    return plain in ("", ".", "..") or not plain.isprintable() or any(mark in plain for mark in "/\\%?#")


def _url(base: str, path: str, request: Request) -> httpx.URL:
    query: bytes = request.scope["query_string"]
    return httpx.URL(base).copy_with(raw_path=path.encode("ascii") + (b"?" + query if query else b""))


def _headers(answer: httpx.Response, guest: Guest, base: str, *, cached: bool) -> Mapping[str, str]:
    named = {name.strip().lower() for name in answer.headers.get("connection", "").split(",")}
    left_out = {*HOP_BY_HOP, *OURS, *named, "location", *(() if cached else ("cache-control", "expires"))}
    headers = {name: value for name, value in answer.headers.items() if name not in left_out}
    if (location := answer.headers.get("location")) is not None:
        headers["location"] = _moved(location, guest, base)
    return headers


def _moved(location: str, guest: Guest, base: str) -> str:
    """Where it sends the browser, by our own address.

    Raises:
        Unavailable: it sends it to somebody else.
    """
    try:
        target = urlsplit(location)
    except ValueError:
        raise Unavailable(f"{guest.title} leads nowhere") from None
    if (target.scheme or target.netloc) and f"{target.scheme}://{target.netloc}" != base:
        raise Unavailable(f"{guest.title} leads out of here")
    path = target.path
    if path.startswith("/") and not (guest.mount and path.startswith(guest.mount)):
        path = guest.prefix + path
    return path + (f"?{target.query}" if target.query else "")


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()
