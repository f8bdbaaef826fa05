"""Asking the inference service over HTTP: references go out, numbers and references come back."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import httpx
from pydantic import TypeAdapter, ValidationError

from flows.house import House
from radloop.domain.enums import ResultStatus
from radloop.domain.errors import Unavailable
from radloop.domain.records import InferenceAnswer, Instance, ModelVersion

AI_UNAVAILABLE = "AI unavailable"
AWAY = ("inference cannot be reached", "inference has not announced")
"""How attempts begin that say nothing about a model: the service was not there."""
_ANSWER = TypeAdapter(InferenceAnswer)


@dataclass(frozen=True, slots=True)
class InstanceReference:
    """One stored instance: its id, and its key in the store."""

    id: str
    key: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: these instances, of this very digest. The service refuses any other."""

    model: str
    digest: str
    instances: tuple[InstanceReference, ...]


async def ask(house: House, model: ModelVersion, instances: Sequence[Instance]) -> InferenceAnswer:
    """One model's answer for one study version.

    Raises:
        Unavailable: no answer within the deadline, a refusal, or an answer to another question. Never a negative.
    """
    references = tuple(InstanceReference(one.id, one.blob.key) for one in instances)
    question = Question(model.name, model.digest, references)
    body = await _post(house, question)
    try:
        answer = _ANSWER.validate_json(body)
    except ValidationError:
        raise Unavailable("inference gave an answer that cannot be read") from None
    if (answer.model, answer.digest) != (model.name, model.digest):
        raise Unavailable("inference answered for another model")
    if answer.status is ResultStatus.NOT_APPLICABLE and not answer.reason:
        raise Unavailable("inference gave no reason")
    return answer


async def _post(house: House, question: Question) -> bytes:
    settings = house.settings.inference
    url = house.url_of("inference", settings.port)
    try:
        # One deadline over everything: httpx's own timeouts start afresh with every byte.
        async with asyncio.timeout(settings.deadline_seconds):
            response = await house.http.post(f"{url}/infer", json=asdict(question))
    except TimeoutError:
        raise Unavailable("inference gave no answer within the deadline") from None
    except httpx.HTTPError as error:
        raise Unavailable(f"{AWAY[0]}: {type(error).__name__}") from None
    if response.status_code != httpx.codes.OK:
        raise Unavailable(f"inference answered {response.status_code}")
    return response.content
