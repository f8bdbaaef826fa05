"""HTTP to the provider: verified, with deadlines, and never more than so many bytes."""

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import httpx

from radloop.domain.errors import Unavailable

SECONDS: Final = 10.0
MOST_BYTES: Final = 1 << 20
SERVER_ERROR: Final = 500

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Said:
    """A provider's answer: a JSON object, whatever its status."""

    status: int
    body: Json


class Wire:
    """Requests to one provider, whose certificate must come from `ca` (else: from whom the system trusts).

    Redirects are not followed: codes and secrets are for one address.
    """

    def __init__(self, ca: Path | None, seconds: float = SECONDS) -> None:
        self._ca = ca
        self._seconds = seconds

    def get(self, url: str, bearer: str | None = None) -> Said:
        """GET a JSON object.

        Raises:
            Unavailable: the provider is away, slow, broken (5xx), not to be trusted, or says no JSON object.
        """
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return self._ask("GET", url, headers, None)

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Said:
        """POST a form, for a JSON object.

        Raises:
            Unavailable: as `get`.
        """
        return self._ask("POST", url, headers, form)

    def _ask(self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> Said:
        asked = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        try:
            with (
                httpx.Client(verify=self._context, timeout=self._seconds, trust_env=False) as client,
                client.stream(method, url, headers=asked, data=form) as response,
            ):
                text = self._read(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"the sign-on provider is away ({type(error).__name__})") from None
        if response.status_code >= SERVER_ERROR:
            raise Unavailable(f"the sign-on provider is broken: {response.status_code}")
        return Said(response.status_code, _json(text))

    def _read(self, response: httpx.Response) -> bytes:
        # httpx counts its deadline anew for each piece.
        until = time.monotonic() + self._seconds
        text = bytearray()
        for piece in response.iter_raw():
            text += piece
            if len(text) > MOST_BYTES or time.monotonic() > until:
                raise Unavailable("the sign-on provider's answer is too long, or too slow")
        return bytes(text)

    @cached_property
    def _context(self) -> ssl.SSLContext:
        try:
            made = ssl.create_default_context(cafile=self._ca)
        except OSError:
            raise Unavailable("[login.oidc] ca cannot be read") from None
        made.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
        return made


def _json(text: bytes) -> Json:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unavailable("the sign-on provider said no JSON object")
    return found
