"""A model's ground: what the images that it knows are like, in numbers, kept beside it as `ground.json`.

Not part of the bundle, so that a ground may be made anew without another version of the model. A site's own
(`<models>/<name>/ground.json`) beats the one that comes with the zoo. `models.grounding` makes them.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, cast

from models import zoo
from radloop.domain.acquired import Family, ImageGround
from radloop.domain.errors import IntegrityError

FILE: Final = "ground.json"
FORMAT: Final = 1
Json = Mapping[str, object]


def ground_of(model: str, models_path: Path | None = None) -> ImageGround | None:
    """The ground of a model by its name; None where nobody made one.

    Raises:
        IntegrityError: it cannot be read, or is another model's.
    """
    folders = [models_path / model] if models_path else []
    folders.append(Path(next(iter(zoo.__path__))) / model)
    path = next((folder / FILE for folder in folders if (folder / FILE).is_file()), None)
    if path is None:
        return None
    # A file that is written anew is read anew.
    return _read(path, path.stat().st_mtime_ns, model)


@lru_cache(maxsize=16)
def _read(path: Path, _changed: int, model: str) -> ImageGround:
    try:
        found = parse_ground(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"the ground of {model} cannot be read") from error
    if found.model != model:
        raise IntegrityError(f"the ground of {model} is another model's")
    return found


def parse_ground(data: bytes) -> ImageGround:
    """A ground from its JSON.

    Raises:
        ValueError, KeyError, TypeError: it is none, or has no family.
    """
    said = cast("Json", json.loads(data))
    if said["format"] != FORMAT or not said["families"]:
        raise ValueError("the ground is of another format")
    return ImageGround(
        model=str(said["model"]),
        families=tuple(_family(item) for item in cast("Sequence[Json]", said["families"])),
    )


def _family(item: Json) -> Family:
    family = Family(
        name=str(item["name"]),
        images=int(cast("int", item["images"])),
        mean=_numbers(item["mean"]),
        inverted=_numbers(item["inverted"]),
        precision=tuple(_numbers(row) for row in cast("Sequence[object]", item["precision"])),
        reach=float(cast("float", item["reach"])),
        low=_named(item["low"]),
        high=_named(item["high"]),
    )
    if {len(family.inverted), len(family.precision), *map(len, family.precision)} != {len(family.mean)}:
        raise ValueError("the numbers of a family do not fit each other")
    if family.reach <= 0:
        raise ValueError("a family reaches nowhere")
    return family


def _numbers(value: object) -> tuple[float, ...]:
    return tuple(float(one) for one in cast("Sequence[float]", value))


def _named(value: object) -> dict[str, float]:
    return {str(name): float(one) for name, one in cast("Mapping[str, float]", value).items()}
