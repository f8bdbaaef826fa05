"""Warming: inference loads a version, checks its signature and reads a golden study with it, before it may be asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx
from pydantic import TypeAdapter, ValidationError

from flows.house import House
from radloop.domain.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Warmth:
    """What inference says: the digests that are ready, and those that it refuses, with the code of the refusal."""

    ready: tuple[str, ...]
    refused: Mapping[str, str]


_WARMTH = TypeAdapter(Warmth)


def warm(house: House, model: str, digests: Sequence[str]) -> Warmth:
    """Have these versions ready; others of the model are put away once nobody has asked for them in a while. Blocks.

    Raises:
        Unavailable: inference is away, or says something that cannot be read.
    """
    settings = house.settings.inference
    url = house.url_of("inference", settings.port)
    question = {"model": model, "digests": list(digests)}
    try:
        response = httpx.post(f"{url}/warm", json=question, timeout=settings.deadline_seconds, trust_env=False)
        response.raise_for_status()
        return _WARMTH.validate_json(response.content)
    except httpx.HTTPError as error:
        raise Unavailable(f"inference cannot warm up a model: {type(error).__name__}") from None
    except ValidationError:
        raise Unavailable("inference gave an answer that cannot be read") from None
