"""Walking a stretch of the chain.

Stretches prove the whole together: each starts from the link that the one before must end with, so that they are
walked side by side, each by a process of its own.
"""

import hmac
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from typing import Any, Final

from sqlalchemy import Connection, select

from radloop.audit.chain import GENESIS, Chain, facts_of
from radloop.domain.errors import Unavailable
from radloop.ledger import Ledger
from radloop.ledger.tables import audit_seals
from radloop.process import die_with_parent

PAGE: Final = 5_000
ALONE: Final = 50_000
"""Up to so many records another process would take longer to start than to help."""
MOST: Final = 4
MAPPED_BYTES: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records `first` to `last`, both included. `before`: the link before the first; `kept`: links that others kept."""

    first: int
    last: int
    before: bytes
    kept: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Walked:
    """How many records of a stretch hold, and what is wrong with the next one."""

    holds: int
    fault: str | None


def stretches(conn: Connection, last: int, kept: Mapping[int, bytes]) -> tuple[Stretch, ...]:
    """The chain up to `last` in as many stretches as processors may walk."""
    parts = min(processors(), MOST) if last > ALONE else 1
    ends = [last * part // parts for part in range(parts + 1)]
    links = {0: GENESIS}
    at_ends = select(audit_seals.c.number, audit_seals.c.chain).where(audit_seals.c.number.in_(ends))
    # Where the record at an end is missing, the stretch before it says so.
    links.update((row.number, bytes(row.chain)) for row in conn.execute(at_ends))
    return tuple(
        Stretch(
            begin + 1, end, links.get(begin, b""), {number: kept[number] for number in kept if begin < number <= end}
        )
        for begin, end in pairwise(ends)
    )


def processors() -> int:
    """How many may work for us."""
    return len(os.sched_getaffinity(0))


def walk(conn: Connection, key: bytes, stretch: Stretch) -> Walked:
    """Walk one stretch here."""
    with closing(_sealed(conn, stretch)) as rows:
        return _walked(rows, Chain(key), stretch)


@contextmanager
def walking_apart(ledger: Ledger, key: bytes, parts: Sequence[Stretch]) -> Iterator[Iterable[Walked]]:
    """Walk stretches at once, in processes of their own; what came of each, in order.

    Raises:
        Unavailable: the ledger's, or such a process was killed.
    """
    url = ledger.url.render_as_string(hide_password=False)
    # No fork: this process has threads.
    context = get_context("spawn")
    with ProcessPoolExecutor(len(parts), mp_context=context, initializer=die_with_parent) as pool:
        try:
            yield pool.map(_walk_apart, [url] * len(parts), [key] * len(parts), parts)
        except BrokenProcessPool:
            raise Unavailable("a process that walked the audit was killed") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _walk_apart(url: str, key: bytes, stretch: Stretch) -> Walked:
    ledger = Ledger(url)
    try:
        with ledger.read() as conn:
            if ledger.sqlite:
                # Every record is read, most of them out of order: not by a system call for each page.
                conn.exec_driver_sql(f"PRAGMA mmap_size={MAPPED_BYTES}")
            return walk(conn, key, stretch)
    finally:
        ledger.close()


def _sealed(conn: Connection, stretch: Stretch) -> Generator[tuple[Any, ...], None, None]:
    """Number, link and facts of the sealed records, by the driver itself: for a million, what stands around it counts.

    Raises:
        Unavailable: the ledger's.
    """
    # An outer join: a deleted event must show as a fault, not as a shorter list.
    joined = "FROM audit_seals s LEFT JOIN audit_events e ON e.id = s.event_id"
    which = f"WHERE s.number BETWEEN {stretch.first:d} AND {stretch.last:d} ORDER BY s.number"
    # A named cursor of PostgreSQL stays there: its rows come by the page.
    named = {} if conn.dialect.name == "sqlite" else {"name": "audit", "binary": True}
    try:
        with closing(conn.connection.cursor(**named)) as cursor:
            cursor.execute(f"SELECT s.number, s.chain, {facts_of(conn)} {joined} {which}")
            while rows := cursor.fetchmany(PAGE):
                yield from rows
    except conn.dialect.loaded_dbapi.Error as error:
        raise Unavailable(f"the ledger went away ({type(error).__name__})") from None


def _walked(rows: Iterable[tuple[Any, ...]], chain: Chain, stretch: Stretch) -> Walked:
    link, expected = stretch.before, stretch.first
    for row in rows:
        number, sealed = row[:2]
        if number != expected:
            break
        try:
            link = chain.link(link, number, row[2:])
        except (TypeError, ValueError, IndexError):  # no event, or one that we could not have written
            link = b""
        if not hmac.compare_digest(link, sealed):
            fault = f"record {number} was changed, moved or follows a deleted one"
            return Walked(number - stretch.first, fault)
        if number in stretch.kept and not hmac.compare_digest(link, stretch.kept[number]):
            return Walked(number - stretch.first, f"record {number} is not the one that is kept outside")
        expected += 1
    return Walked(expected - stretch.first, f"record {expected} is missing" if expected <= stretch.last else None)
