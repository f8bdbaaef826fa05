"""Two providers of single sign-on over TLS: oidc-provider-mock in a process of its own, and one that may lie.

python -m tests.peers.oidc PORT CERTIFICATE KEY        the first, in the foreground
"""

import base64
import hashlib
import json
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
from joserfc import jws
from joserfc.jwk import Key, RSAKey

from tests.peers.certificates import Certificates
from tests.peers.programs import free_port, running

CLIENT = "radloop"
SECRET = "our secret: +/ü"


@dataclass(frozen=True)
class MockProvider:
    """A running oidc-provider-mock. It takes any client."""

    issuer: str
    files: Certificates

    def person(self, sub: str, **claims: object) -> None:
        """Somebody it knows."""
        self._client().put(f"{self.issuer}/users/{sub}", json=claims).raise_for_status()

    def log_in(self, url: str, sub: str) -> dict[str, str]:
        """What a browser that went to `url` and logged in as `sub` brings back."""
        return self._sent_back(url, {"sub": sub})

    def deny(self, url: str) -> dict[str, str]:
        """What a browser brings back whose person said no."""
        return self._sent_back(url, {"action": "deny"})

    def page(self, url: str) -> int:
        """The status of a page."""
        return self._client().get(url).status_code

    def _sent_back(self, url: str, form: dict[str, str]) -> dict[str, str]:
        answer = self._client().post(url, data=form)
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    def _client(self) -> Any:
        context = ssl.create_default_context(cafile=self.files.ca)
        return httpx.Client(verify=context, timeout=10.0, trust_env=False)


@contextmanager
def mock_provider(files: Certificates) -> Iterator[MockProvider]:
    """oidc-provider-mock on a free port."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="oidc-") as folder:
        command = [sys.executable, "-m", "tests.peers.oidc", str(port), str(files.certificate), str(files.key)]
        with running(command, Path(folder, "log"), port):
            yield MockProvider(f"https://127.0.0.1:{port}", files)


def thumb(text: str, method: str = "sha256") -> str:
    """base64url of a digest, or of its left half for `at_hash`."""
    return base64.urlsafe_b64encode(hashlib.new(method, text.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Liar:
    """A provider of ours whose every word a test may change."""

    issuer: str = ""
    keys: list[Key] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    """Over the honest claims of the ID token; None leaves one out."""
    header: dict[str, Any] = field(default_factory=dict)
    token: Callable[[dict[str, Any], dict[str, Any]], str] | None = None
    """Header and claims to the ID token, where the honest signature is not wanted."""
    tokens: dict[str, Any] = field(default_factory=dict)
    """Over the answer of the token endpoint."""
    status: int = 200
    userinfo: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    logins: dict[str, dict[str, str]] = field(default_factory=dict)

    def log_in(self, url: str) -> dict[str, str]:
        """A code for a browser that went to `url`."""
        asked = dict(parse_qsl(urlsplit(url).query))
        code = f"code-{len(self.logins)}"
        self.logins[code] = asked
        return {"code": code, "state": asked["state"]}

    def sign(self, header: dict[str, Any], claims: dict[str, Any], key: Key | None = None) -> str:
        """A token, signed by the first key unless another is given."""
        signer = key or self.keys[0]
        kid = {} if signer.kid is None else {"kid": signer.kid}
        return jws.serialize_compact(
            {"alg": "RS256", **kid, **header},
            json.dumps(claims).encode(),
            signer,
            algorithms=["RS256", "ES256", "HS256"],
        )

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """What the path answers."""
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return 200, {**self._document(), **self.metadata}
        if path == "/jwks":
            return 200, {"keys": [key.as_dict(private=False) for key in self.keys]}
        if path == "/userinfo":
            return 200, self.userinfo
        self.forms.append(form)
        login = self.logins.pop(form["code"], None)
        if login is None or thumb(form["code_verifier"]) != login["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        return self.status, {**self._tokens(login), **self.tokens}

    def _tokens(self, login: dict[str, str]) -> dict[str, Any]:
        claims = {**honest(self.issuer), "nonce": login["nonce"], **self.claims}
        claims = {key: value for key, value in claims.items() if value is not None}
        made = self.token(self.header, claims) if self.token else self.sign(self.header, claims)
        return {"access_token": "access", "token_type": "Bearer", "id_token": made}

    def _document(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "end_session_endpoint": f"{self.issuer}/logout?realm=x",
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
        }


def honest(issuer: str) -> dict[str, Any]:
    """The claims of an ID token that must be believed, but for its nonce."""
    now = int(time.time())
    who = {"sub": "s1", "preferred_username": "Curie", "groups": ["radiologists"], "sid": "provider-session"}
    return {"iss": issuer, "aud": CLIENT, "iat": now, "exp": now + 300, **who}


def rsa_key(kid: str) -> RSAKey:
    """A fresh key."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer({key: values[0] for key, values in parse_qs(text).items()})

    def log_message(self, *said: object) -> None:
        pass

    def _answer(self, form: dict[str, str]) -> None:
        liar: Liar = self.server.liar  # type: ignore[attr-defined]
        liar.authorizations.append(self.headers.get("Authorization", ""))
        status, body = liar.answer(self.path, form)
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class _Server(ThreadingHTTPServer):
    tls: ssl.SSLContext
    liar: Liar

    def get_request(self) -> tuple[Any, Any]:
        sock, address = super().get_request()
        sock.settimeout(5.0)
        try:
            return self.tls.wrap_socket(sock, server_side=True), address
        except OSError:
            sock.close()
            raise


@contextmanager
def lying_provider(files: Certificates) -> Iterator[Liar]:
    """A provider on a free port, honest until it is told otherwise."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(files.certificate, files.key)
        server.liar = Liar(issuer=f"https://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.liar
        finally:
            server.shutdown()
            thread.join(5)


def main(port: str, certificate: str, key: str) -> None:
    """Serve oidc-provider-mock until killed."""
    # Importing it warns of what Authlib is giving up: only this process may.
    app = import_module("oidc_provider_mock").app(require_nonce=True)
    serving = import_module("werkzeug.serving")
    serving.run_simple("127.0.0.1", int(port), app, threaded=True, ssl_context=(certificate, key))


if __name__ == "__main__":
    main(*sys.argv[1:])
