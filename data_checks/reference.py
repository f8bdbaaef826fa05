"""A frozen reference distribution: rows that a model is known to do well on, packed so that a digest names them.

Arrays and JSON in one zip (NumPy's npz), never pickle: bytes that were tampered with are refused, not run.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from data_checks.columns import Columns, Floats, Rows, Texts
from data_checks.rules import IDENTITY, SCORE
from radloop.domain.errors import IntegrityError

FORMAT: Final = 1
MOST_KNOWN: Final = 5_000
"""Rows of one scanner at one site that are kept: more sharpen nothing that matters."""
ENVELOPE: Final = (
    "kvp", "exposure", "spacing", "thickness", "rows", "columns", "bits_stored", "repetition_time", "echo_time",
    "flip_angle", "field_strength",
)  # fmt: skip
Combination = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a model's traffic is held against.

    Args:
        digest: the model version whose scores and embeddings are in `columns`: another version's are not comparable.
        columns: the rows.
        combinations: every combination of `IDENTITY` that was seen, also in rows that were not kept.
        envelope: by numeric column, the least and the greatest value that was seen.
    """

    digest: str
    columns: Columns
    combinations: frozenset[Combination]
    envelope: dict[str, tuple[float, float]]


def reference(digest: str, rows: Columns) -> Reference:
    """Freeze rows, at most `MOST_KNOWN` of each scanner at each site."""
    return Reference(
        digest=digest,
        columns=rows.take(_thinned(rows)),
        combinations=frozenset(_combinations(rows)),
        envelope={name: _bounds(rows.numeric[name]) for name in ENVELOPE if _measured(rows, name)},
    )


def extended(before: Reference, more: Columns, *, moved: bool) -> Reference:
    """The reference with further rows.

    Args:
        before: what is in force.
        more: the rows to add; scores and embeddings are of the same version.
        moved: whether scanners in `more` have changed for good: their new rows then take the place of their old ones,
            which do not stand for them any more. What was seen stays seen.
    """
    fresh = reference(before.digest, more)
    strata = set(zip(more.sites.tolist(), more.devices.tolist(), strict=True)) if moved else set()
    old = before.columns
    kept = [pair not in strata for pair in zip(old.sites.tolist(), old.devices.tolist(), strict=True)]
    rows = joined(old.take(np.array(kept, np.bool_)), fresh.columns)
    return Reference(
        digest=before.digest,
        columns=rows.take(_thinned(rows)),
        combinations=before.combinations | fresh.combinations,
        envelope={
            name: _wider(before.envelope.get(name), fresh.envelope.get(name))
            for name in sorted({*before.envelope, *fresh.envelope})
        },
    )


def joined(first: Columns, second: Columns) -> Columns:
    """Rows under rows; a column that one of them lacks is missing there."""
    n, m = len(first), len(second)

    def floats(name: str) -> Floats:
        parts = [one.numeric.get(name, np.full(len(one), np.nan)) for one in (first, second)]
        return np.concatenate(parts)

    def texts(name: str) -> Texts:
        return np.concatenate([one.categorical.get(name, np.full(len(one), "")) for one in (first, second)])

    embedded = [one.embedding is not None for one in (first, second)]
    size = next((one.embedding.shape[1] for one in (first, second) if one.embedding is not None), 0)
    blank = [np.full((count, size), np.nan, np.float32) for count in (n, m)]
    vectors = [
        spare if one.embedding is None else one.embedding for one, spare in zip((first, second), blank, strict=True)
    ]
    return Columns(
        ids=np.concatenate([first.ids, second.ids]),
        at=np.concatenate([first.at, second.at]),
        numeric={name: floats(name) for name in {**first.numeric, **second.numeric}},
        categorical={name: texts(name) for name in {**first.categorical, **second.categorical}},
        sites=np.concatenate([first.sites, second.sites]),
        devices=np.concatenate([first.devices, second.devices]),
        disagree=np.concatenate([first.disagree, second.disagree]),
        embedding=np.concatenate(vectors) if any(embedded) else None,
    )


def comparable(known: Reference, digest: str, window: Columns) -> tuple[Columns, Columns]:
    """Reference and window with the columns that both have.

    Scores, embeddings and verdicts go where the window's (of the version `digest`) are of another version than the
    reference's.
    """
    same = known.digest == digest
    names = [name for name in known.columns.numeric if name in window.numeric and (same or not name.startswith(SCORE))]
    return _narrowed(known.columns, names, answers=same), _narrowed(window, names, answers=same)


def _narrowed(rows: Columns, names: Sequence[str], *, answers: bool) -> Columns:
    numeric = {name: rows.numeric[name] for name in names}
    if answers:
        return replace(rows, numeric=numeric)
    return replace(rows, numeric=numeric, embedding=None, disagree=np.full(len(rows), np.nan))


def pack(known: Reference) -> bytes:
    """The bytes that are stored: the same reference gives the same bytes."""
    rows = known.columns
    named: dict[str, Any] = {f"n:{name}": values for name, values in rows.numeric.items()}
    named |= {f"c:{name}": values for name, values in rows.categorical.items()}
    named |= {"ids": rows.ids, "at": rows.at, "sites": rows.sites, "devices": rows.devices, "disagree": rows.disagree}
    if rows.embedding is not None:
        named["embedding"] = rows.embedding
    meta = {
        "format": FORMAT,
        "digest": known.digest,
        "combinations": sorted(map(list, known.combinations)),
        "envelope": known.envelope,
    }
    named["meta"] = np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8)
    with io.BytesIO() as buffer:
        np.savez_compressed(buffer, allow_pickle=False, **named)
        return buffer.getvalue()


def unpack(data: bytes) -> Reference:
    """What `pack` wrote.

    Raises:
        IntegrityError: it is something else.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        meta = json.loads(bytes(found["meta"]))
        return Reference(
            digest=meta["digest"],
            columns=_columns(found),
            combinations=frozenset(tuple(one) for one in meta["combinations"]),
            envelope={name: (float(low), float(high)) for name, (low, high) in meta["envelope"].items()},
        )
    except (ValueError, KeyError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise IntegrityError("a baseline cannot be read") from error


def _columns(found: dict[str, Any]) -> Columns:
    return Columns(
        ids=found["ids"],
        at=found["at"],
        numeric={name[2:]: values for name, values in found.items() if name.startswith("n:")},
        categorical={name[2:]: values for name, values in found.items() if name.startswith("c:")},
        sites=found["sites"],
        devices=found["devices"],
        disagree=found["disagree"],
        embedding=found.get("embedding"),
    )


def _thinned(rows: Columns) -> Rows:
    """Positions of the rows that are kept: the newest of each stratum."""
    left: dict[tuple[str, str], int] = {}
    kept = np.zeros(len(rows), np.bool_)
    for place in range(len(rows) - 1, -1, -1):
        stratum = (str(rows.sites[place]), str(rows.devices[place]))
        left[stratum] = left.get(stratum, MOST_KNOWN) - 1
        kept[place] = left[stratum] >= 0
    return kept


def _combinations(rows: Columns) -> Iterable[Combination]:
    columns = [rows.categorical[name].tolist() for name in IDENTITY if name in rows.categorical]
    return zip(*columns, strict=True) if len(columns) == len(IDENTITY) else ()


def _measured(rows: Columns, name: str) -> bool:
    return name in rows.numeric and bool(np.isfinite(rows.numeric[name]).any())


def _bounds(values: Floats) -> tuple[float, float]:
    return float(np.nanmin(values)), float(np.nanmax(values))


def _wider(one: tuple[float, float] | None, other: tuple[float, float] | None) -> tuple[float, float]:
    known = [bounds for bounds in (one, other) if bounds]
    return min(low for low, _ in known), max(high for _, high in known)
