"""A window of the ledger as plain arrays: how images were acquired, what they were, what the champion and readers said.

One row per acquisition: an exposure of a projection modality, else a series, whose slices are no evidence of their own.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import ARRAY, ColumnElement, Connection, Row, Select, Text, and_, any_, func, literal, or_, select

from radloop.domain.enums import ResultStatus, Standing, VerdictKind
from radloop.domain.verdicts import OVERRIDES
from radloop.ledger.acquired import DIMENSIONS, PIXEL_COLUMNS, embeddings, pixel_facts
from radloop.ledger.learning import verdicts
from radloop.ledger.tables import acquisitions, findings, instances, results

ACQUIRED: Final = (
    "kvp", "exposure", "exposure_time", "spacing", "thickness", "repetition_time", "echo_time", "flip_angle",
    "field_strength", "rows", "columns", "frames", "bits_stored",
)  # fmt: skip
NUMERIC: Final = (*ACQUIRED, *PIXEL_COLUMNS)
CATEGORICAL: Final = (
    "modality", "body_part", "view", "manufacturer", "model_name", "software", "kernel", "protocol", "sequence",
    "photometric", "transfer_syntax",
)  # fmt: skip
# Texts of a header that nobody chose from a list (a series description) may name a patient: they are not read.
PROJECTIONS: Final = frozenset(("CR", "DX", "DR", "MG", "IO", "PX", "RG", "XA", "RF"))
MOST_ROWS: Final = 20_000
"""Of a longer window the newest are read."""
SCORE: Final = "score_"


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` on and before `end`."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRows:
    """`n` acquisitions in the order in which they were written, and whose answers stand beside them.

    `versions`: (n,) study version ids. `at`: (n,) datetime64[us], UTC. `numeric`: by name (n,), NaN where missing; a
    score's name begins with `score_`. `categorical`: by name (n,), '' where missing. `disagree`: (n,) 1.0, 0.0, or NaN
    where no reader has spoken. `embedding`: (n, 64) float32, rows of NaN where there is none; None where none has one.
    """

    versions: npt.NDArray[np.str_]
    at: npt.NDArray[np.datetime64]
    numeric: Mapping[str, npt.NDArray[np.float64]]
    categorical: Mapping[str, npt.NDArray[np.str_]]
    sites: npt.NDArray[np.str_]
    devices: npt.NDArray[np.str_]
    disagree: npt.NDArray[np.float64]
    embedding: npt.NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.versions)


def of_span(conn: Connection, model: str, digest: str, span: Span, most: int = MOST_ROWS) -> WindowRows:
    """The acquisitions of a span that a champion of the model read, the newest `most` of them.

    Scores and embeddings are those of the version `digest`: another version's are not comparable.
    """
    inside = and_(acquisitions.c.at >= span.start, acquisitions.c.at < span.end)
    answered = and_(
        results.c.version_id == acquisitions.c.version_id,
        results.c.model == model,
        # Its answers for a scanner in the shadow are those of a silent version, and watched all the same.
        or_(results.c.standing == Standing.CHAMPION, results.c.digest == digest),
        results.c.status == ResultStatus.OK,
    )
    query = _rows().join(results, answered).where(inside)
    newest = query.order_by(acquisitions.c.at.desc(), acquisitions.c.instance_id.desc()).limit(most)
    return _window(conn, conn.execute(_beside(newest)).all()[::-1], digest)


def of_instances(conn: Connection, digest: str, instance_ids: Collection[str]) -> WindowRows:
    """The acquisitions of these instances, with what the version `digest` said of them where it has read them."""
    answered = and_(
        results.c.version_id == acquisitions.c.version_id,
        results.c.digest == digest,
        results.c.status == ResultStatus.OK,
    )
    asked = _among(conn, acquisitions.c.instance_id, instance_ids)
    query = _beside(_rows().outerjoin(results, answered).where(asked))
    return _window(conn, conn.execute(query.order_by(acquisitions.c.at, acquisitions.c.instance_id)).all(), digest)


def _rows() -> Select[Any]:
    a = acquisitions.c
    columns = [a[name] for name in (*ACQUIRED, *CATEGORICAL)]
    said = (results.c.id.label("result_id"), results.c.digest)
    return (
        select(a.instance_id, a.version_id, a.at, a.site, a.station, instances.c.series_uid, *columns, *said)
        .select_from(acquisitions)
        .join(instances, instances.c.id == a.instance_id)
    )


def _beside(query: Select[Any]) -> Select[Any]:
    """With pixel facts and the embedding of the same image, where there are any."""
    seen = pixel_facts.c.instance_id == acquisitions.c.instance_id
    put = and_(embeddings.c.result_id == results.c.id, embeddings.c.instance_id == acquisitions.c.instance_id)
    columns = [pixel_facts.c[name] for name in PIXEL_COLUMNS]
    return query.add_columns(*columns, embeddings.c.vector).outerjoin(pixel_facts, seen).outerjoin(embeddings, put)


def _window(conn: Connection, found: Sequence[Row[Any]], digest: str) -> WindowRows:
    rows = _Columns(_one_per_acquisition(found, digest))
    comparable = [one if its == digest else None for one, its in zip(rows["result_id"], rows["digest"], strict=True)]
    said = {one for one in comparable if one is not None}
    scores, spoken = _scores(conn, said), _disagreed(conn, said)
    numeric = {name: _floats(rows[name]) for name in NUMERIC}
    for target, of_target in sorted(scores.items()):
        numeric[SCORE + target] = _floats([of_target.get(one) for one in comparable])
    scanners = zip(rows["manufacturer"], rows["model_name"], rows["station"], strict=True)
    return WindowRows(
        versions=_texts(rows["version_id"]),
        at=np.array([at.replace(tzinfo=None) for at in rows["at"]], dtype="datetime64[us]"),
        numeric=numeric,
        categorical={name: _texts(rows[name]) for name in CATEGORICAL},
        sites=_texts(rows["site"]),
        devices=_texts([device_of(*scanner) for scanner in scanners]),
        disagree=_floats([spoken.get(one) for one in comparable]),
        embedding=_vectors(rows["vector"], rows["digest"], digest),
    )


class _Columns:
    """Rows of one query as columns by name: reading values row by row takes three times as long."""

    def __init__(self, rows: Sequence[Row[Any]]) -> None:
        names = rows[0]._fields if rows else ()
        self._columns = dict(zip(names, zip(*rows, strict=True), strict=True))

    def __getitem__(self, name: str) -> tuple[Any, ...]:
        return self._columns.get(name, ())


def device_of(manufacturer: str, model_name: str, station: str) -> str:
    """A scanner in one text."""
    return " ".join(word for word in (manufacturer, model_name, station) if word)


def _one_per_acquisition(found: Iterable[Row[Any]], digest: str) -> list[Row[Any]]:
    """The first image of each series that the version has an embedding of, or its first; of projections every image."""
    kept: dict[str, Row[Any]] = {}
    for row in found:
        key = row.instance_id if row.modality in PROJECTIONS else row.series_uid
        before = kept.get(key)
        if before is None or _worth(row, digest) > _worth(before, digest):
            kept[key] = row
    return list(kept.values())


def _worth(row: Row[Any], digest: str) -> tuple[bool, bool]:
    return row.digest == digest, row.vector is not None


def _scores(conn: Connection, result_ids: Collection[str]) -> Mapping[str, Mapping[str | None, float]]:
    """Probabilities, by target and result."""
    found: dict[str, dict[str | None, float]] = defaultdict(dict)
    f = findings.c
    query = select(f.result_id, f.target, f.probability).where(_among(conn, f.result_id, result_ids))
    for result_id, target, probability in conn.execute(query):
        found[target][result_id] = probability
    return found


def _disagreed(conn: Connection, result_ids: Collection[str]) -> Mapping[str | None, float]:
    """Whether a reader's last word on any target of a result is an override, by result; others have no word."""
    found: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    v = verdicts.c
    said = select(v.result_id, v.reader, v.target, v.kind, v.id).where(_among(conn, v.result_id, result_ids))
    for result_id, reader, target, kind, verdict_id in conn.execute(said.order_by(v.at, v.id)):
        found[result_id][reader, target or verdict_id] = kind
    return {one: float(_any_override(words.values())) for one, words in found.items()}


def _among(conn: Connection, column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
    """Whether a column is one of thousands of values, which are one parameter.

    A parameter for each takes longer to be written and read than the rows that are found, and SQLite has 32,000.
    """
    if conn.dialect.name == "sqlite":
        return column.in_(select(func.json_each(json.dumps(list(values))).table_valued("value").c.value))
    return column == any_(literal(list(values), ARRAY(Text)))


def _any_override(kinds: Iterable[str]) -> bool:
    return any(VerdictKind(kind) in OVERRIDES for kind in kinds)


def _vectors(vectors: Sequence[bytes | None], digests: Sequence[str], digest: str) -> npt.NDArray[np.float32] | None:
    nothing = np.full(DIMENSIONS, np.nan, np.float32).tobytes()
    known = [
        bytes(vector) if vector is not None and its == digest else None
        for vector, its in zip(vectors, digests, strict=True)
    ]
    if not any(known):
        return None
    joined = b"".join(vector or nothing for vector in known)
    return np.frombuffer(joined, "<f4").reshape(len(known), DIMENSIONS).astype(np.float32)


def _floats(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    return np.array(values, dtype=np.float64)  # None becomes NaN


def _texts(values: Sequence[str | None]) -> npt.NDArray[np.str_]:
    return np.array([value or "" for value in values], dtype=np.str_)
