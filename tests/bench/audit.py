"""How long `radloop audit verify` takes over 1,000,000 sealed records, how fast they are sealed, and looked through.

    python -m tests.bench.audit [--quick] [--json FILE] [--database sqlite|postgresql]

On each database; 100,000 records with --quick.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import bindparam, text

from radloop import audit
from radloop.domain.ids import utc_now
from radloop.ledger import Ledger, audit_log
from radloop.ledger.audit_log import Selection
from radloop.ledger.tables import Utc, metadata
from tests.peers.postgres import postgres

KEY: Final = bytes(range(32))
AT_ONCE: Final = 20_000
RECORDS: Final = 1_000_000
WANTED: Final = 10.0
"""Seconds for the whole record (issue 5, Audit and retention)."""
RANDOM_ID: Final = {"sqlite": "lower(hex(randomblob(10)))", "postgresql": "substr(md5(random()::text), 1, 20)"}
STEP: Final = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', :at, '+' || (n.i * 30) || ' seconds') || '000'",
    "postgresql": "CAST(:at AS timestamptz) + n.i * interval '30 seconds'",
}
ACTIONS: Final = ("view.study", "view.image", "result", "answer", "delivered", "verdict", "login")
SELECTIONS: Final = (
    Selection(),
    Selection(actor="reader3"),
    Selection(actor="runner"),
    Selection(action="view"),
    Selection(action="login"),
    Selection(actor="runner", action="login"),
    Selection(actor="reader3", role="READER"),
    Selection(role="READER"),
    Selection(role="GOVERNANCE"),
    Selection(actor="nobody"),
    Selection(action="view", role="GOVERNANCE"),
)


def fill(ledger: Ledger, records: int) -> None:
    """Put records in as a site of some years has them: two of three by the runner, the others by forty readers."""
    name = ledger.engine.dialect.name
    begun = utc_now() - timedelta(seconds=30 * records + 60)
    action = "CASE n.i % 7 " + " ".join(f"WHEN {at} THEN '{one}'" for at, one in enumerate(ACTIONS)) + " END"
    for first in range(0, records, AT_ONCE):
        last = min(first + AT_ONCE, records)
        numbers = f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {last})"
        into = (
            "INSERT INTO audit_events "
            "(id, at, actor, action, object_kind, object_id, detail, role, address, sealed) "
            f"{numbers} SELECT 'au_' || {RANDOM_ID[name]}, {STEP[name]}, "
            f"CASE WHEN n.i % 3 = 0 THEN 'reader' || (n.i % 40) ELSE 'runner' END, {action}, 'study_version', "
            f"'sv_' || {RANDOM_ID[name]}, 'cxr_pneumonia 1.0.0, OK, ROUTINE', "
            "CASE WHEN n.i % 3 = 0 THEN 'READER' ELSE '' END, CASE WHEN n.i % 3 = 0 THEN '10.1.2.3' ELSE '' END, "
            f"{'0' if ledger.sqlite else 'false'} FROM n"
        )
        with ledger.write() as conn:
            conn.execute(text(into).bindparams(bindparam("at", begun, Utc())))


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Seconds of the wall clock, and what came out."""
    begun = time.perf_counter()
    found = work()
    return time.perf_counter() - begun, found


def seal_all(ledger: Ledger, anchor: Path) -> None:
    """Seal until nothing waits."""
    sealer = audit.Sealer(ledger, KEY, anchor)
    sealer.begin()
    while sealer.seal():
        pass


def slowest_page(ledger: Ledger) -> tuple[float, str]:
    """Of fifty records by each kind of filter, the newest and from the middle on: seconds, and which."""
    taken = []
    with ledger.read() as conn:
        middle = audit_log.page(conn, Selection(until=utc_now() - timedelta(days=100)), None, 1)
        for chosen in SELECTIONS:
            for after in (None, *(entry.place for entry in middle)):
                seconds, _ = timed(lambda: audit_log.page(conn, chosen, after, 50))  # noqa: B023 - called at once
                taken.append((seconds, str(chosen)))
    return max(taken)


def measure(ledger: Ledger, records: int, anchor: Path) -> dict[str, object]:
    """Fill, seal, verify twice: with nothing in the database's own memory, and with what is there after it."""
    fill(ledger, records)
    if not ledger.sqlite:
        with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("ANALYZE"))  # what autovacuum does in its time
    sealing, _ = timed(lambda: seal_all(ledger, anchor))
    ledger.close()
    first, verdict = timed(lambda: audit.verify(ledger, KEY, anchor))
    busy = processor_seconds()
    again, _ = timed(lambda: audit.verify(ledger, KEY, anchor))
    # What was computed, by all processes: on a machine that is busy with other things, the wall clock counts those too.
    computed = processor_seconds() - busy
    found = {"records": records, "sound": getattr(verdict, "sound", False), "sealed per second": records / sealing}
    page, chosen = slowest_page(ledger)
    found |= {"slowest page": page, "of": chosen}
    return {**found, "verify": first, "verify again": again, "processor": computed, "wanted": WANTED}


def processor_seconds() -> float:
    """Of this process and of those that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, with the seconds that were wanted: machines differ, so nothing fails by them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--database", choices=("sqlite", "postgresql"))
    options = parser.parse_args(argv)
    records = RECORDS // 10 if options.quick else RECORDS
    results = []
    with tempfile.TemporaryDirectory() as folder, postgres() as url:
        for database, address in (("sqlite", f"sqlite:///{folder}/audit.db"), ("postgresql", url)):
            if options.database in (None, database):
                found = _one(address, records, Path(folder) / f"{database}.anchor")
                results.append({"database": database, **found})
                print(results[-1], flush=True)  # noqa: T201 - a bench prints
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))
    return 0 if all(result["sound"] for result in results) else 1


def _one(address: str, records: int, anchor: Path) -> dict[str, object]:
    ledger = Ledger(address)
    ledger.upgrade()
    if not ledger.sqlite:
        with ledger.write() as conn:
            conn.execute(text("TRUNCATE " + ", ".join(metadata.tables)))
    try:
        return measure(ledger, records, anchor)
    finally:
        ledger.close()


if __name__ == "__main__":
    sys.exit(main())
