"""Rows of a simulated stream, drawn from pools of phantoms that a model really read: thousands in a moment."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from data_checks.columns import Columns
from models.phantoms.pool import NUMERIC, Pool
from models.phantoms.scanners import SCANNERS, Change, Scanner, scanner_of

Pools = Mapping[tuple[str, str], Pool]
JITTER: Final = 0.1
"""Of a column's spread: a row drawn twice is not twice the same (the smoothed bootstrap: Silverman and Young 1987).

The spread is always that of the scanner as it was: a change may move what a row says, not how much it is blurred, or a
row that the change never touched would be told from the others by its blur."""
SETTINGS: Final = 2
"""The first columns of `NUMERIC` are settings, which come in steps, and are drawn as they are."""
ODD: Final = 1 / 2000
FIRST: Final = dt.datetime(2026, 1, 5, 7, tzinfo=dt.UTC)
CATEGORICAL: Final = (
    "manufacturer", "model_name", "software", "kernel", "protocol", "view", "photometric", "body_part",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What to draw: `count` rows over `days`, with `change` (where there is one) from row `since` on.

    `odd` is the share of rows whose software version nobody has seen and nobody will see again: a machine in service
    mode, one on loan. `prefix` begins every id.
    """

    count: int
    seed: int
    days: float = 30.0
    since: int = 0
    change: Change | None = None
    odd: float = ODD
    prefix: str = "re"


def draw(pools: Pools, wanted: Stream) -> Columns:
    """The rows, in the order in which they arrive; the same for the same stream and pools."""
    rng = np.random.default_rng([wanted.seed, wanted.count, wanted.since])
    places = rng.choice(len(SCANNERS), wanted.count, p=[scanner.share for scanner in SCANNERS])
    changed = np.arange(wanted.count) >= wanted.since if wanted.change else np.zeros(wanted.count, np.bool_)
    parts = [_part(pools, wanted.change, rng, places, place, changed, late) for place, late in _states(wanted.change)]
    rows = np.concatenate([part[0] for part in parts])
    order = np.argsort(rows)
    numeric, embedding, disagree = (np.concatenate([part[side] for part in parts])[order] for side in (1, 2, 3))
    texts = {name: np.concatenate([part[4][name] for part in parts])[order] for name in (*CATEGORICAL, *STRATA)}
    texts["software"] = _odd(rng, wanted, texts["software"])
    return Columns(
        ids=np.array([f"{wanted.prefix}_{wanted.seed}_{number:07d}" for number in range(wanted.count)], dtype=np.str_),
        at=_times(rng, wanted),
        numeric={name: numeric[:, side] for side, name in enumerate(NUMERIC)},
        categorical={name: texts[name] for name in CATEGORICAL},
        sites=texts["site"],
        devices=texts["device"],
        disagree=disagree,
        embedding=embedding.astype(np.float32),
    )


def save(rows: Columns, path: Path) -> None:
    """Keep rows as a file of numpy's: a column each, named as they are, without pickle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Any] = {f"numeric:{name}": column for name, column in rows.numeric.items()}
    parts |= {f"categorical:{name}": column for name, column in rows.categorical.items()}
    parts |= {name: getattr(rows, name) for name in ("ids", "at", "sites", "devices", "disagree")}
    parts |= {} if rows.embedding is None else {"embedding": rows.embedding}
    with path.open("wb") as out:
        np.savez(out, **parts)


def read(path: Path) -> Columns:
    """The rows that `save` kept."""
    with np.load(path, allow_pickle=False) as kept:
        return Columns(
            ids=kept["ids"],
            at=kept["at"],
            numeric={name.partition(":")[2]: kept[name] for name in kept.files if name.startswith("numeric:")},
            categorical={name.partition(":")[2]: kept[name] for name in kept.files if name.startswith("categorical:")},
            sites=kept["sites"],
            devices=kept["devices"],
            disagree=kept["disagree"],
            embedding=kept["embedding"] if "embedding" in kept.files else None,
        )


STRATA: Final = ("site", "device")
_Part = tuple[
    npt.NDArray[np.intp],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    dict[str, npt.NDArray[np.str_]],
]


def _states(change: Change | None) -> list[tuple[int, bool]]:
    """Every scanner by its place, as it is; and the one that changes, changed."""
    changed = [(place, True) for place, one in enumerate(SCANNERS) if change and one.station == change.station]
    return [*((place, False) for place in range(len(SCANNERS))), *changed]


def _part(
    pools: Pools,
    change: Change | None,
    rng: np.random.Generator,
    places: npt.NDArray[np.intp],
    place: int,
    changed: npt.NDArray[np.bool_],
    late: bool,  # noqa: FBT001 - the state of the scanner
) -> _Part:
    station = SCANNERS[place].station
    touched = changed if change and change.station == station else np.zeros(len(places), np.bool_)
    rows = np.flatnonzero((places == place) & (touched if late else ~touched))
    usual = pools[station, ""]
    pool = pools[station, change.name] if late and change else usual
    picks = rng.integers(0, len(pool.numeric), len(rows))
    scanner = scanner_of(station, change if late else None)
    texts = {name: np.full(len(rows), text) for name, text in _header(scanner).items()}
    texts["protocol"] = pool.protocol[picks]
    embedding = _moved(rng, pool.embedding, usual.embedding, picks)
    return rows, _jittered(rng, pool, usual, picks), embedding, pool.disagree[picks], texts


def _header(scanner: Scanner) -> dict[str, str]:
    return {
        "manufacturer": scanner.hospital.maker,
        "model_name": scanner.hospital.scanner,
        "software": scanner.software,
        "kernel": scanner.kernel,
        "view": "PA",
        "photometric": "MONOCHROME2",
        "body_part": "CHEST",
        "site": scanner.site,
        "device": scanner.device,
    }


def _jittered(
    rng: np.random.Generator, pool: Pool, usual: Pool, picks: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    found = pool.numeric[picks].copy()
    found[:, SETTINGS:] = _moved(rng, pool.numeric[:, SETTINGS:], usual.numeric[:, SETTINGS:], picks)
    found[:, -1] = np.clip(found[:, -1], 0.0, 1.0)
    return found


def _moved(
    rng: np.random.Generator,
    values: npt.NDArray[np.floating],
    usual: npt.NDArray[np.floating],
    picks: npt.NDArray[np.intp],
) -> npt.NDArray[np.float64]:
    spread = JITTER * usual.std(axis=0)
    return np.asarray(values[picks] + spread * rng.standard_normal((len(picks), values.shape[1])), np.float64)


def _odd(rng: np.random.Generator, wanted: Stream, software: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    odd = np.flatnonzero(rng.random(wanted.count) < wanted.odd)
    found = software.astype("U32")
    for place in odd:
        found[place] = f"SERVICE {wanted.seed}.{place}"
    return found


def _times(rng: np.random.Generator, wanted: Stream) -> npt.NDArray[np.datetime64]:
    seconds = np.sort(rng.uniform(0, wanted.days * 86_400, wanted.count))
    return np.datetime64(FIRST.replace(tzinfo=None), "us") + (seconds * 1e6).astype("timedelta64[us]")
