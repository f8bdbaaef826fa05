"""In which role and from where somebody acts now: said once at the door, written into every row of the request."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Acting:
    """`role`: the roles of who acts, joined by commas; `address`: where the request came from."""

    role: str = ""
    address: str = ""


_now: ContextVar[Acting] = ContextVar("acting")
_INSIDE = Acting()


def acting_now() -> Acting:
    """Who acts, as the door said; nothing inside the house."""
    return _now.get(_INSIDE)


def begin_acting(acting: Acting) -> None:
    """For the rest of this task (and the threads that it starts): every audit row carries this."""
    _now.set(acting)


@contextmanager
def acting_as(acting: Acting) -> Iterator[None]:
    """As `begin_acting`, for a block."""
    token = _now.set(acting)
    try:
        yield
    finally:
        _now.reset(token)
