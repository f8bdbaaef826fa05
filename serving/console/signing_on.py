"""What of logging in lives in the process: the provider, logins that are under way, failures that are counted."""

import secrets
import threading
import time
from dataclasses import dataclass
from typing import Final

from integrations.identity import oidc
from radloop.domain.errors import NotFound
from radloop.settings import Settings
from serving.console.throttle import Throttle

PENDING_SECONDS: Final = 600.0
MOST_PENDING: Final = 10_000


@dataclass(frozen=True, slots=True)
class Pending:
    """A login that is at the provider's: what was asked there, and where to go after it."""

    started: oidc.Started
    target: str
    at: float


class Doors:
    """One per process. A login under way does not outlive it; whoever is at the provider's then begins again."""

    def __init__(self, settings: Settings) -> None:
        self.throttle = Throttle(settings.console.login_tries)
        self._settings = settings.login.oidc
        self._provider: oidc.Provider | None = None
        self._pending: dict[str, Pending] = {}
        self._lock = threading.Lock()

    def provider(self) -> oidc.Provider:
        """The site's single sign-on.

        Raises:
            NotFound: the site has none.
        """
        if self._settings is None:
            raise NotFound("there is no single sign-on here")
        with self._lock:
            self._provider = self._provider or oidc.Provider(self._settings)
            return self._provider

    def remember(self, started: oidc.Started, target: str) -> str:
        """Keep a login that goes to the provider; the secret for the browser that began it."""
        secret, now = secrets.token_urlsafe(32), time.monotonic()
        with self._lock:
            fresh = {key: one for key, one in self._pending.items() if now - one.at < PENDING_SECONDS}
            while len(fresh) >= MOST_PENDING:
                del fresh[next(iter(fresh))]
            self._pending = {**fresh, secret: Pending(started, target, now)}
        return secret

    def recall(self, secret: str) -> Pending | None:
        """The login of this browser, once."""
        with self._lock:
            found = self._pending.pop(secret, None)
        return found if found and time.monotonic() - found.at < PENDING_SECONDS else None
