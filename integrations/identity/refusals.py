"""Refusals at the door. Outwardly all of a kind read the same: only the audit learns which it was."""

from typing import ClassVar, Final

from radloop.domain.errors import Rejected

# What the audit keeps as an actor has room for.
LONGEST_NAME: Final = 128


class Refused(Rejected):
    """Somebody may not come in.

    Args:
        why: a code for the audit, never a name or anything that was typed.
    """

    said: ClassVar[str] = "the login was refused"

    def __init__(self, why: str) -> None:
        super().__init__(self.said)
        self.why = why


class WrongCredentials(Refused):
    """Name and password open nothing: whether the name is known, the password wrong or the account closed."""

    code = "wrong-credentials"
    said = "the name or the password is wrong"


class LoginRefused(Refused):
    """What the sign-on provider, or somebody in its place, sent proves nobody."""

    code = "login-refused"


def is_usable(name: str) -> bool:
    """Whether a provider's name may be an actor's: printable, no space around it, of a length that the ledger keeps."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip()
