"""What goes over the wire: the reference to a stored instance, and what a refusal says."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from radloop.domain.errors import IntegrityError, NotFound, RadloopError, StorageFull, Transient, Unavailable
from radloop.domain.records import InferenceAnswer
from serving.inference.shelf import UnknownDigest

MOST_INSTANCES: Final = 4096
MOST_WARM: Final = 8
"""Versions of one model that are kept ready: champion, shadow, previous, and room."""
Word = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Reference(BaseModel):
    """One stored instance: our id, which comes back in the answer, and its key in the store."""

    model_config = ConfigDict(frozen=True)

    id: Word
    key: Word


References = Annotated[list[Reference], Field(min_length=1, max_length=MOST_INSTANCES)]
Digests = Annotated[list[Word], Field(max_length=MOST_WARM)]


class Overloaded(Unavailable):
    """More requests wait than can be answered in time."""

    code = "overloaded"


class PastDeadline(Unavailable):
    """The answer did not come in time."""

    code = "deadline"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as HTTP says it: JSON `{"code", "error"}`, and when to ask again."""

    status: HTTPStatus
    headers: Mapping[str, str]
    body: Mapping[str, str]


# The first row that fits decides.
STATUSES: Final[tuple[tuple[type[RadloopError], HTTPStatus], ...]] = (
    (UnknownDigest, HTTPStatus.CONFLICT),
    (IntegrityError, HTTPStatus.CONFLICT),
    (NotFound, HTTPStatus.NOT_FOUND),
    (StorageFull, HTTPStatus.SERVICE_UNAVAILABLE),
    (Transient, HTTPStatus.SERVICE_UNAVAILABLE),
    (RadloopError, HTTPStatus.INTERNAL_SERVER_ERROR),
)

_ANSWER: Final = TypeAdapter(InferenceAnswer)


def refusal(error: RadloopError, retry_seconds: float) -> Refusal:
    """What to answer for an error; `retry_seconds` is the site's wait before another attempt."""
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    headers = {"Retry-After": str(math.ceil(retry_seconds))} if isinstance(error, Transient) else {}
    return Refusal(status, headers, {"code": error.code, "error": str(error)})


def as_json(answer: InferenceAnswer) -> bytes:
    """The answer's bytes on the wire."""
    return _ANSWER.dump_json(answer)
