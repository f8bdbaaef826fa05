"""How long a window of 10,000 acquisitions takes to be read and held against every suite, on each database.

    python -m tests.bench.watch [--quick] [--json FILE]

Once with the window alone in the ledger, once with 1,000,000 rows around it (100,000 with --quick).
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Table, bindparam, text

from data_checks import reference as references
from data_checks.suites import Limits, Window, acquisition, delivered, ground
from flows import drift
from flows.baselines import columns_of
from radloop.ledger import Ledger, windows
from radloop.ledger.acquired import embeddings, pixel_facts
from radloop.ledger.tables import Utc, acquisitions, findings, instances, metadata, results, studies, study_versions
from radloop.ledger.windows import Span
from tests.flows import cards, traffic
from tests.peers.postgres import postgres

WINDOW = 10_000
KNOWN = 5_000
AT_ONCE = 20_000
RUNS = 5
"""Looks at the same window, of which the median of each part is told."""
PREFIX = {"studies": "st_", "study_versions": "sv_", "instances": "in_", "results": "re_"} | dict.fromkeys(
    ("acquisitions", "pixel_facts", "findings", "embeddings"), ""
)
ID = {"study_id": "st_", "version_id": "sv_", "instance_id": "in_", "result_id": "re_"}
TEMPLATES: dict[Table, str] = {
    studies: "id", study_versions: "study_id", instances: "version_id", acquisitions: "version_id",
    pixel_facts: "instance_id", results: "version_id", findings: "result_id", embeddings: "result_id",
}  # fmt: skip
TIMES = {"at", "received_at", "completed_at", "answered_at"}
LIMITS = {"alone": 2.0, "among many": 10.0}
"""Seconds (issue 4, Must show)."""


def fill(ledger: Ledger, others: int) -> Window:
    """A reference, a window, and `others` rows of earlier days; the window."""
    end = traffic.NOON
    with ledger.write() as conn:
        for number in range(4):
            scanner = traffic.Scanner(station=f"S{number}", disagree=0.08)
            before = {"begin": end - timedelta(days=30), "minutes": 0.5, "name": f"k{number}"}
            traffic.send(conn, scanner, KNOWN // 4, seed=number, **before)  # type: ignore[arg-type]
            now = {"begin": end - timedelta(hours=23), "minutes": 0.5, "name": f"w{number}"}
            traffic.send(conn, scanner, WINDOW // 4, seed=100 + number, **now)  # type: ignore[arg-type]
    for part in range(0, others, AT_ONCE):
        with ledger.write() as conn:
            multiply(conn, part, min(AT_ONCE, others - part), end - timedelta(days=60 + part / AT_ONCE))
    if not ledger.sqlite:
        with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("ANALYZE"))  # what autovacuum does in its time
    return Window(end - timedelta(days=1), end)


def multiply(conn: Connection, first: int, count: int, at: datetime) -> None:
    """The first study of the reference `count` times more, inside the database."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {first + count})"
    for table, key in TEMPLATES.items():
        columns = [column.name for column in table.columns]
        chosen = (_expression(table.name, name) for name in columns)
        listed = ", ".join(f'"{name}"' for name in columns)
        into = f"INSERT INTO {table.name} ({listed}) {numbers} SELECT {', '.join(chosen)} FROM {table.name} t, n"
        which = ({"id": "st_"} | ID)[key] + "k0-0000000"
        query = text(f"{into} WHERE t.{key} = '{which}'")
        conn.execute(query.bindparams(bindparam("at", at, Utc())) if ":at" in query.text else query)


def _expression(table: str, column: str) -> str:
    if column in TIMES:
        return ":at"
    own = {"id": PREFIX[table], "study_uid": "", "sop_uid": ""} | ID
    return f"'{own[column]}o' || n.i" if column in own else f't."{column}"'


def measure(ledger: Ledger, window: Window) -> dict[str, float]:
    """Seconds of each part of a watch over the window."""
    champion = cards.version()
    with ledger.read() as conn:
        span = Span(traffic.NOON - timedelta(days=31), traffic.NOON - timedelta(days=20))
        rows = columns_of(windows.of_span(conn, champion.name, champion.digest, span))
    known = references.reference(champion.digest, rows)
    taken: dict[str, float] = {}
    busy = time.process_time()
    begun = time.perf_counter()
    with ledger.read() as conn:
        seen = columns_of(windows.of_span(conn, champion.name, champion.digest, Span(window.start, window.end)))
    taken["read"] = time.perf_counter() - begun
    begun = time.perf_counter()
    found = drift.judged(champion, *references.comparable(known, champion.digest, seen), window)
    taken["judge"] = time.perf_counter() - begun
    begun = time.perf_counter()
    acquisition(ledger, window)
    ground(ledger, window, champion.name, known)
    delivered(ledger, window, Limits(300.0, 0.95))
    taken["suites"] = time.perf_counter() - begun
    taken["all"] = sum(taken.values())
    # What the process computed: on a machine that is busy with other things, the wall clock counts those too.
    taken["processor"] = time.process_time() - busy
    return {**taken, "rows": float(len(seen)), "alarms": float(len(found.sightings))}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, with the seconds that were wanted: machines differ, so nothing fails by them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    sizes = {"alone": 0, "among many": 100_000 if options.quick else 1_000_000}
    results = []
    with tempfile.TemporaryDirectory() as folder, postgres() as url:
        for place, others in sizes.items():
            for database, address in (("sqlite", f"sqlite:///{folder}/{others}.db"), ("postgresql", url)):
                results.append(
                    {
                        "database": database,
                        "window": place,
                        "others": others,
                        **_one(address, others),
                        "wanted": LIMITS[place],
                    }
                )
                print(results[-1], flush=True)  # noqa: T201 - a bench prints
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))
    return 0


def _one(address: str, others: int) -> dict[str, float]:
    ledger = Ledger(address)
    ledger.upgrade()
    if not ledger.sqlite:
        _empty(ledger)
    try:
        window = fill(ledger, others)
        measure(ledger, window)  # caches of the process and of the database are warm, as they are every hour
        runs = [measure(ledger, window) for _ in range(RUNS)]
        return {part: statistics.median(run[part] for run in runs) for part in runs[0]}
    finally:
        ledger.close()


def _empty(ledger: Ledger) -> None:
    with ledger.write() as conn:
        conn.execute(text("TRUNCATE " + ", ".join(metadata.tables)))


if __name__ == "__main__":
    sys.exit(main())
