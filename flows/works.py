"""Work under way in this process, by key, so that a Prefect run can show what the runner already does."""

import asyncio
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TypeVar

from radloop.domain.errors import Permanent, RadloopError, Unavailable

T = TypeVar("T")
under_way: ContextVar[Mapping[str, "asyncio.Task[str]"]] = ContextVar("under_way")
"""Set around a flow call by the runner; empty in a process that calls a flow by itself."""


async def outcome_of(work: "asyncio.Task[str]") -> str:
    """Await work that others await too: it is not cancelled with us.

    Raises:
        RadloopError: as the work did, or Permanent for anything else, by its type alone: its words, and what it was
            raised from, may quote a patient, and Prefect keeps both.
    """
    await asyncio.wait({work})
    if work.cancelled():
        raise Unavailable("the runner stopped") from None
    error = work.exception()
    if error is None:
        return work.result()
    raise safe(error) from None


def safe(error: BaseException) -> RadloopError:
    """An error that may be shown anywhere."""
    return type(error)(str(error)) if isinstance(error, RadloopError) else Permanent(type(error).__name__)
