"""The process that asks the directory: `python -m integrations.identity.directory`, a `Question` in, an `Answer` out.

libldap connects and shakes hands without a deadline, and bonsai holds the interpreter while it does: a directory that
falls silent would stop everything else in the process. Here the kernel keeps the deadline of each answer, and what
breaks in C breaks alone. It reads no ldap.conf (LDAPNOINIT, ldap.conf(5)).
"""

import json
import re
import resource
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from integrations.identity.refusals import WrongCredentials, is_usable
from radloop.process import die_with_parent

if TYPE_CHECKING:
    from bonsai import LDAPConnection, LDAPEntry
    from bonsai.errors import LDAPError

NAMING: Final = re.compile(r"\(\s*([A-Za-z][A-Za-z0-9;.-]*)\s*=\s*\{name\}\s*\)")
SUBTREE: Final = 2
MOST_GROUPS: Final = 5000
DNS_IN_A_FILTER: Final = 25
# RFC 4511 appendix A.2: busy, unavailable, other; and what libldap itself says when no answer came.
NO_ANSWER: Final = frozenset((51, 52, 80))
# Active Directory's own reason for invalidCredentials, in its diagnostic message (a Win32 code of [MS-ERREF] 2.2).
REASON: Final = re.compile(r"\bdata ([0-9a-f]{3,4})\b")
REASONS: Final = {
    "525": "unknown",
    "530": "hours",
    "531": "workstation",
    "532": "expired",
    "533": "disabled",
    "701": "expired",
    "773": "must-change",
    "775": "locked",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything that one login needs: [login.ldap] with its files read, and what was typed."""

    url: str
    starttls: bool
    ca: str
    bind_dn: str
    bind_password: str = field(repr=False)
    user_base: str
    user_filter: str
    group_base: str
    group_filter: str
    group_attribute: str
    disabled_filter: str
    seconds: float
    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Who it is; or why not (`refused`, a code); or what is wrong with the directory (`away`, words)."""

    name: str = ""
    groups: tuple[str, ...] = ()
    refused: str = ""
    away: str = ""


class Away(Exception):
    """The directory cannot be asked; in words for hospital IT."""


def main() -> None:
    """Answer one question."""
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the password
    json.dump(asdict(answer(Question(**json.load(sys.stdin)))), sys.stdout)


def answer(question: Question) -> Answer:
    """Look somebody up, prove them by their password, and gather their groups."""
    from bonsai.errors import LDAPError  # noqa: PLC0415 - compiled, and not everywhere

    try:
        with _looking_up(question) as directory:
            name, dn = _person(directory, question)
            _prove(question, dn)
            _check_standing(directory, question, dn)
            return Answer(name=name, groups=_groups(directory, question, dn, name))
    except WrongCredentials as refusal:
        return Answer(refused=refusal.why)
    except Away as error:
        return Answer(away=str(error))
    except LDAPError as error:
        return Answer(away=f"it said {type(error).__name__} ({error.code})")


def escaped(value: str) -> str:
    """A value inside of a filter (RFC 4515 section 3)."""
    return re.sub(r"[\\*()\0]", lambda found: f"\\{ord(found[0]):02x}", value)


@contextmanager
def _looking_up(question: Question) -> "Iterator[LDAPConnection]":
    from bonsai.errors import AuthenticationError  # noqa: PLC0415

    try:
        directory = _opened(question, question.bind_dn, question.bind_password)
    except AuthenticationError:
        raise Away("it refuses bind_dn, which looks people up") from None
    with directory:
        yield directory


def _opened(question: Question, dn: str, password: str, *, policy: bool = False) -> "LDAPConnection":
    from bonsai import LDAPClient  # noqa: PLC0415

    client = LDAPClient(question.url, tls=question.starttls)
    client.set_cert_policy("demand")
    client.set_ca_cert(question.ca)
    client.set_password_policy(policy)
    if dn:
        client.set_credentials("SIMPLE", user=dn, password=password)
    _await(question)
    opened = client.connect(timeout=question.seconds)
    return opened[0] if policy else opened


def _person(directory: "LDAPConnection", question: Question) -> tuple[str, str]:
    """The directory's spelling of the name, and the DN; of one person only."""
    naming = NAMING.search(question.user_filter)
    if naming is None:
        raise Away("user_filter has no (attribute={name})")
    wanted = question.user_filter.replace("{name}", escaped(question.name))
    entries = _search(directory, question, question.user_base, wanted, (naming[1],))
    if len(entries) != 1:
        raise WrongCredentials("ambiguous" if entries else "unknown")
    names = _texts(entries[0], naming[1])
    if len(names) != 1 or not is_usable(names[0]):
        raise WrongCredentials("odd-name")
    return names[0], _plain_dn(entries[0])


def _plain_dn(entry: "LDAPEntry") -> str:
    dn = str(entry.dn)
    # bonsai unescapes \5C before \2C: a name with a backslash could come out as another entry's DN.
    if not dn or "\\\\" in dn:
        raise WrongCredentials("odd-dn")
    return dn


def _prove(question: Question, dn: str) -> None:
    """Bind as the person."""
    from bonsai import errors  # noqa: PLC0415

    try:
        _opened(question, dn, question.password, policy=True).close()
    except errors.AccountLocked:
        raise WrongCredentials("locked") from None
    except errors.PasswordExpired:
        raise WrongCredentials("expired") from None
    except (errors.ConnectionError, errors.TimeoutError):
        raise
    except errors.LDAPError as error:
        if error.code in NO_ANSWER:
            raise
        raise WrongCredentials(_reason(error)) from None


def _reason(error: "LDAPError") -> str:
    from bonsai.errors import AuthenticationError  # noqa: PLC0415

    given = REASON.search(str(error))
    if given is not None and given[1] in REASONS:
        return REASONS[given[1]]
    return "password" if isinstance(error, AuthenticationError) else f"bind-{error.code}"


def _check_standing(directory: "LDAPConnection", question: Question, dn: str) -> None:
    if _search(directory, question, dn, question.disabled_filter, alone=True):
        raise WrongCredentials("disabled")


def _groups(directory: "LDAPConnection", question: Question, dn: str, name: str) -> tuple[str, ...]:
    """The groups of somebody, of those groups, and so on: breadth first, each entry once, so that a cycle ends."""
    names: set[str] = set()
    seen = {dn.casefold()}
    front = [_of_member(question, dn, name)]
    while front:
        found: dict[str, str] = {}
        for entry in _asked_together(directory, question, front):
            names.update(_texts(entry, question.group_attribute))
            if (key := str(entry.dn).casefold()) not in seen:
                found[key] = str(entry.dn)
        seen.update(found)
        if len(seen) > MOST_GROUPS:
            raise Away(f"somebody is in more than {MOST_GROUPS} groups")
        # No DN is anybody's name: what asks for {name} asks for people only.
        front = [_of_member(question, group, group) for group in found.values() if "\\\\" not in group]
    return tuple(sorted(names))


def _asked_together(directory: "LDAPConnection", question: Question, filters: list[str]) -> "Iterator[LDAPEntry]":
    for start in range(0, len(filters), DNS_IN_A_FILTER):
        wanted = f"(|{''.join(filters[start : start + DNS_IN_A_FILTER])})"
        yield from _search(directory, question, question.group_base, wanted, (question.group_attribute,))


def _of_member(question: Question, dn: str, name: str) -> str:
    return question.group_filter.replace("{dn}", escaped(dn)).replace("{name}", escaped(name))


def _search(
    directory: "LDAPConnection",
    question: Question,
    base: str,
    wanted: str,
    attributes: Iterable[str] = ("1.1",),
    *,
    alone: bool = False,
) -> "list[LDAPEntry]":
    _await(question)
    scope = 0 if alone else SUBTREE
    found: list[LDAPEntry] = directory.search(base, scope, wanted, list(attributes), timeout=question.seconds)
    return found


def _texts(entry: "LDAPEntry", attribute: str) -> list[str]:
    return [value for value in entry.get(attribute, ()) if isinstance(value, str)]


def _await(question: Question) -> None:
    # SIGALRM ends a process that has no handler for it: also one that hangs in a handshake.
    signal.setitimer(signal.ITIMER_REAL, question.seconds)


if __name__ == "__main__":
    main()
