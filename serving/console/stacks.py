"""The images of a study in the order in which they are read: by series, and in it along the patient."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from radloop.domain.errors import IntegrityError, NotFound, Rejected
from radloop.domain.ports import BlobStore
from radloop.domain.records import Instance
from radloop.pixels import split
from radloop.pixels.elements import DEFLATED, elements, inflate
from radloop.pixels.limits import DEFAULT

# PS3.6. Found by a walk over the data set that decodes nothing else: a stack of a thousand is in order within a second.
_DESCRIPTION, _NUMBER, _POSITION, _ORIENTATION = 0x0008103E, 0x00200013, 0x00200032, 0x00200037
_FRAMES, _ROWS, _COLUMNS = 0x00280008, 0x00280010, 0x00280011
_TEXTS: Final = frozenset((_DESCRIPTION, _NUMBER, _POSITION, _ORIENTATION, _FRAMES))
_LONGEST: Final = 512
# PS3.4 Table B.5-1: what has an image matrix and is no image to look at by itself.
_NO_PICTURES: Final = ("1.2.840.10008.5.1.4.1.1.66.", "1.2.840.10008.5.1.4.1.1.30", "1.2.840.10008.5.1.4.1.1.481.")


@dataclass(frozen=True, slots=True, kw_only=True)
class StackImage:
    """One instance of a stack."""

    instance_id: str
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One series: its images in order."""

    number: int
    modality: str
    description: str
    images: tuple[StackImage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    instance: Instance
    description: str
    number: float | None
    along: float | None
    frames: int


def stacks_of(store: BlobStore, instances: Iterable[Instance]) -> tuple[Stack, ...]:
    """Every image of a study, by series in the order of arrival. What cannot be parsed, or is gone, is left out."""
    by_series: dict[str, list[_Facts]] = {}
    for facts in _images(store, instances):
        by_series.setdefault(facts.instance.header.series_uid, []).append(facts)
    return tuple(_stack(number, facts) for number, facts in enumerate(by_series.values(), 1))


def _images(store: BlobStore, instances: Iterable[Instance]) -> Iterator[_Facts]:
    for instance in instances:
        if instance.header.sop_class_uid.startswith(_NO_PICTURES):
            continue
        try:
            found = _values(store.get(instance.blob.key))
        except (Rejected, NotFound, IntegrityError):
            continue
        if found.get(_ROWS) and found.get(_COLUMNS):
            yield _facts(instance, found)


def _values(data: bytes) -> dict[int, str]:
    """The texts that order a stack, and whether there are rows and columns."""
    file = split(data)
    syntax = file.transfer_syntax_uid
    body = memoryview(inflate(file.dataset, DEFAULT.inflated)) if syntax in DEFLATED else file.dataset
    found: dict[int, str] = {}
    for tag, start, length in elements(body, syntax):
        if tag > _COLUMNS:
            break
        if tag in _TEXTS and length <= _LONGEST:
            found[tag] = bytes(body[start : start + length]).decode("latin-1").strip("\0 ")
        elif tag in (_ROWS, _COLUMNS) and length == 2:
            found[tag] = str(struct.unpack("<H", body[start : start + 2])[0] or "")
    return found


def _facts(instance: Instance, found: dict[int, str]) -> _Facts:
    position, orientation = _numbers(found.get(_POSITION, "")), _numbers(found.get(_ORIENTATION, ""))
    number, frames = _numbers(found.get(_NUMBER, "")), _numbers(found.get(_FRAMES, ""))
    return _Facts(
        instance=instance,
        description="".join(one if one.isascii() and one.isprintable() else " " for one in found.get(_DESCRIPTION, "")),
        number=number[0] if number else None,
        along=_along(position, orientation) if len(position) == 3 and len(orientation) == 6 else None,
        frames=int(frames[0]) if frames and 1 <= frames[0] <= DEFAULT.frames else 1,
    )


def _along(position: Sequence[float], orientation: Sequence[float]) -> float:
    """How far a slice lies along the normal of its plane (PS3.3 C.7.6.2.1.1), in mm."""
    (a, b, c), (d, e, f) = orientation[:3], orientation[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    return sum(one * other for one, other in zip(position, normal, strict=True))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split("\\") if part.strip())
    except ValueError:
        return ()


def _stack(number: int, facts: Sequence[_Facts]) -> Stack:
    return Stack(
        number=number,
        modality=facts[0].instance.header.modality,
        description=facts[0].description,
        images=tuple(StackImage(instance_id=one.instance.id, frames=one.frames) for one in _ordered(facts)),
    )


def _ordered(facts: Sequence[_Facts]) -> Sequence[_Facts]:
    """Along the patient where every slice says where it lies, else by its number, else as they came."""
    if len(facts) > 1 and all(one.along is not None for one in facts) and len({one.along for one in facts}) > 1:
        return sorted(facts, key=lambda one: (one.along or 0.0, one.number or 0.0))
    if all(one.number is not None for one in facts):
        return sorted(facts, key=lambda one: one.number or 0.0)
    return facts
