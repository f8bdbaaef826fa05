"""Phantoms that were really drawn, measured and read by a model, kept as numbers: rows can be drawn from them fast."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from models.embedding import embeddings, penultimate
from models.phantoms.header import Grey
from models.phantoms.scanners import CHANGES, SCANNERS, Change, Shot, picture, scanner_of, shot
from models.pixel_facts import pixel_facts, stored_scale
from models.preparation import HeaderFacts, to_unit
from models.runtime import LoadedModel, load
from models.zoo.cxr_pneumonia import SPEC

Floats = npt.NDArray[np.float64]
BATCH: Final = 8
BITS: Final = 12
FACTS: Final = (
    "p1", "p5", "p25", "p50", "p75", "p95", "p99", "clipped_low", "clipped_high", "entropy", "noise", "sharpness",
    "border",
)  # fmt: skip
NUMERIC: Final = ("kvp", "exposure", *FACTS, "score:pneumonia")
PLAIN: Final = HeaderFacts()
SCALE: Final = stored_scale(BITS, signed=False, slope=1.0, intercept=0.0, inverted=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """`n` studies of one scanner in one state.

    Args:
        numeric: (n, 16) float64, columns as in `NUMERIC`.
        embedding: (n, 64) float32.
        disagree: (n,) 1 where the reader disagrees with the model at its threshold of 0.5.
        protocol: (n,) names of protocols.
    """

    numeric: Floats
    embedding: npt.NDArray[np.float32]
    disagree: Floats
    protocol: npt.NDArray[np.str_]


def pools(size: int, folder: Path, seed: int = 0) -> dict[tuple[str, str], Pool]:
    """The pool of every scanner as it is, (station, ""), and changed, (station, name of the change).

    Each has `size` studies. What lies in `folder` already is read, not computed.
    """
    wanted = [(scanner.station, "") for scanner in SCANNERS]
    wanted += [(change.station, change.name) for change in CHANGES.values()]
    return {key: pool(key, size, folder, seed) for key in wanted}


def pool(key: tuple[str, str], size: int, folder: Path, seed: int = 0) -> Pool:
    """One of them, kept in `folder` as a file of numpy's (no pickle), for as long as neither code nor model changes."""
    station, name = key
    path = folder / f"{station}-{name or 'usual'}-{size}-{seed}-{_code()}-{SPEC.digest[:8]}.npz"
    if not path.exists():
        measured = measure(_shots(station, CHANGES.get(name), size, seed))
        folder.mkdir(parents=True, exist_ok=True)
        _keep(path, measured)
    with np.load(path, allow_pickle=False) as kept:
        return Pool(**{part: kept[part] for part in ("numeric", "embedding", "disagree", "protocol")})


def measure(shots: Sequence[Shot]) -> Pool:
    """Draw every picture, measure its pixels, and have the model read it."""
    parts = [_read(shots[start : start + BATCH]) for start in range(0, len(shots), BATCH)]
    score = np.concatenate([part[1] for part in parts])
    positive = np.array([one.read_positive for one in shots])
    settings = np.array([[one.kvp, one.exposure] for one in shots])
    return Pool(
        numeric=np.column_stack([settings, np.concatenate([part[0] for part in parts]), score]),
        embedding=np.concatenate([part[2] for part in parts]),
        disagree=((score >= 0.5) != positive).astype(np.float64),
        protocol=np.array([one.protocol for one in shots]),
    )


def _read(shots: Sequence[Shot]) -> tuple[Floats, Floats, npt.NDArray[np.float32]]:
    model, greys = _model(), [picture(one) for one in shots]
    batch = torch.stack([model.prepare(to_unit(grey, PLAIN)) for grey in greys])
    with penultimate(model.network) as features:
        scores = model.predict(batch)[:, 0].astype(np.float64)
        vectors = embeddings(model.network, features, len(batch))
    return np.array([list(_facts(grey)) for grey in greys]), scores, vectors


def _facts(grey: Grey) -> Iterator[float]:
    found = pixel_facts(grey.astype(np.float32), SCALE)
    yield from (getattr(found, name) for name in FACTS)


def _shots(station: str, change: Change | None, size: int, seed: int) -> list[Shot]:
    scanner = scanner_of(station, change)
    # Another block of numbers for the changed state: other patients, as after any day.
    first = seed * 1_000_000 + (500_000 if change else 0)
    return [shot(scanner, first + number) for number in range(size)]


def _keep(path: Path, measured: Pool) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as out:
        np.savez(
            out,
            numeric=measured.numeric,
            embedding=measured.embedding,
            disagree=measured.disagree,
            protocol=measured.protocol,
        )
    part.replace(path)


@cache
def _code() -> str:
    """A digest of what draws and measures: this folder, and the modules beside it."""
    here = Path(__file__).parent
    sources = sorted([*here.glob("*.py"), *here.parent.glob("*.py")])
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:8]


@cache
def _model() -> LoadedModel:
    return load(SPEC.bundle)
