"""Name and password of the directory (LDAP, RFC 4511; Active Directory): looked up, then bound as that person."""

import json
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from threading import BoundedSemaphore
from typing import Final

from integrations.identity.directory import Answer, Question
from integrations.identity.refusals import LONGEST_NAME, WrongCredentials
from radloop.domain.access import Identified
from radloop.domain.errors import Unavailable
from radloop.settings import Ldap, child_environment

__all__ = ["WrongCredentials", "authenticate"]

LONGEST_PASSWORD: Final = 1024
AT_ONCE: Final = 4
# Two connections of two steps each, a look at the account, and groups of groups.
STEPS: Final = 12
# Where operating systems keep whom they trust; a `ca` in the settings replaces it.
BUNDLES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")

_slots: Final = BoundedSemaphore(AT_ONCE)


def authenticate(settings: Ldap, name: str, password: str) -> Identified:
    """Who this is, by the directory: its own spelling of the name, and every group, nested ones too.

    Raises:
        WrongCredentials: name and password open nothing, for whichever reason (`why`, for the audit).
        Unavailable: the directory is away, slow or not to be trusted, or [login.ldap] does not fit it.
    """
    _look_at(name, password)
    answer = _ask(_question(settings, name, password))
    if answer.away:
        raise Unavailable(f"the directory cannot be asked: {answer.away}")
    if answer.refused:
        raise WrongCredentials(answer.refused)
    return Identified(name=answer.name, groups=tuple(answer.groups))


def _look_at(name: str, password: str) -> None:
    """Refuse what must not reach a directory.

    RFC 4513 section 5.1.2: a bind without a password succeeds, as nobody. C would read one that begins with NUL so.
    """
    if not password:
        raise WrongCredentials("empty-password")
    if len(name) > LONGEST_NAME or len(password) > LONGEST_PASSWORD:
        raise WrongCredentials("too-long")
    if not name.strip() or not name.isprintable() or not _is_text(password):
        raise WrongCredentials("odd-input")


def _is_text(password: str) -> bool:
    try:
        return b"\0" not in password.encode()
    except UnicodeEncodeError:
        return False


def _question(settings: Ldap, name: str, password: str) -> Question:
    return Question(
        url=settings.url,
        starttls=settings.starttls,
        ca=str(_authority(settings)),
        bind_dn=settings.bind_dn,
        bind_password=_bind_password(settings),
        user_base=settings.user_base,
        user_filter=settings.user_filter,
        group_base=settings.group_base,
        group_filter=settings.group_filter,
        group_attribute=settings.group_attribute,
        disabled_filter=settings.disabled_filter,
        seconds=settings.timeout_seconds,
        name=name,
        password=password,
    )


def _authority(settings: Ldap) -> Path:
    known = (settings.ca,) if settings.ca else (ssl.get_default_verify_paths().cafile, *BUNDLES)
    found = next((Path(one) for one in known if one and Path(one).is_file()), None)
    if found is None:
        raise Unavailable("the directory's authority cannot be read: [login.ldap] ca")
    return found


def _bind_password(settings: Ldap) -> str:
    if not settings.bind_dn:
        return ""
    try:
        kept = settings.bind_password_file.read_text(encoding="utf-8").strip() if settings.bind_password_file else ""
    except (OSError, UnicodeDecodeError):
        raise Unavailable("[login.ldap] bind_password_file cannot be read") from None
    # As nobody it would find nobody, and say so of everybody.
    if not kept or "\0" in kept:
        raise Unavailable("[login.ldap] bind_dn is set, and bind_password_file holds no password")
    return kept


def _ask(question: Question) -> Answer:
    if find_spec("bonsai") is None:
        raise Unavailable("bonsai is not installed: pip install 'radloop[ldap]', with libldap and libsasl2 at hand")
    with _slot(question.seconds):
        try:
            done = subprocess.run(
                [sys.executable, "-m", "integrations.identity.directory"],
                input=json.dumps(asdict(question)),
                capture_output=True,
                encoding="utf-8",
                timeout=STEPS * question.seconds,
                check=False,
                env=child_environment({"LDAPNOINIT": "1"}),
            )
        except subprocess.TimeoutExpired:
            raise Unavailable("the directory did not answer in time") from None
        except OSError as error:
            raise Unavailable(f"the directory cannot be asked: {type(error).__name__}") from None
    if done.returncode == -signal.SIGALRM:
        raise Unavailable("the directory did not answer in time")
    if done.returncode:
        raise Unavailable(f"asking the directory ended with status {done.returncode}")
    return Answer(**json.loads(done.stdout))


@contextmanager
def _slot(seconds: float) -> Iterator[None]:
    """At most so many processes at once, however many try to come in."""
    if not _slots.acquire(timeout=seconds):
        raise Unavailable("too many are coming in at once", retry_after=seconds)
    try:
        yield
    finally:
        _slots.release()
