"""Opening the ledger: transactions, their guarantees, and what a database error means to the caller."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from radloop.domain.errors import RadloopError, StorageFull, Unavailable

# SQLite extended result codes, https://www.sqlite.org/rescode.html
SQLITE_NO_ROOM = ("database or disk is full", "disk I/O error")
POSTGRES_NO_ROOM = ("53100", "58030")  # disk_full, io_error


class Ledger:
    """One database. Safe to share between threads; open one per process.

    Args:
        url: SQLAlchemy URL; `sqlite:///path` or `postgresql+psycopg://...`.
        busy_seconds: bounded wait for a locked database, after which `Unavailable` is raised.
    """

    def __init__(self, url: str, *, busy_seconds: float = 5.0) -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self._turn = _Turn(busy_seconds) if self.sqlite else nullcontext()
        arguments: dict[str, Any] = (
            {"timeout": busy_seconds} if self.sqlite else {"connect_timeout": int(busy_seconds) or 1}
        )
        self.engine = create_engine(
            self.url,
            connect_args=arguments,
            pool_size=8,
            max_overflow=24,
            pool_timeout=busy_seconds,
            hide_parameters=True,
        )
        if self.sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_immediate)
        else:
            lock_wait = int(busy_seconds * 1000)
            event.listen(self.engine, "connect", lambda raw, _: _prepare_postgres(raw, lock_wait))

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed and durable when the block ends, rolled back when it raises.

        Raises:
            Unavailable: the database is locked or away.
            StorageFull: there is no room for the commit.
        """
        with _translated(), self._turn, self.engine.begin() as conn:
            yield conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view; nothing may be changed in it.

        Raises:
            Unavailable: the database is locked or away.
        """
        with _translated(), self.engine.connect() as connection:
            conn = connection.execution_options(radloop_read=True)
            with conn.begin():
                yield conn

    def upgrade(self) -> None:
        """Bring the tables to the newest revision (Alembic). Safe to repeat.

        Raises:
            Unavailable: the database is locked or away.
        """
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with _translated(), self.engine.connect() as conn:
            config.attributes["connection"] = conn
            command.upgrade(config, "head")

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


class _Turn:
    """One writer of this process at a time.

    SQLite has those who wait for its lock sleep and try again, in no order: of thirty threads some would wait longer
    than they may. Here they queue, and only one of each process competes.
    """

    def __init__(self, busy_seconds: float) -> None:
        self._lock = threading.Lock()
        self._seconds = busy_seconds

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self._seconds):
            raise Unavailable("the ledger is busy with other writers of this process")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _prepare_sqlite(raw: Any, _record: object) -> None:
    # The driver must not open transactions by itself: we say BEGIN IMMEDIATE (SQLAlchemy, "SQLite transactions").
    raw.isolation_level = None
    cursor = raw.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=2000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(conn: Connection) -> None:
    # A deferred transaction that turns into a writer fails at once when another one wrote: take the lock first.
    deferred = conn.get_execution_options().get("radloop_read", False)
    conn.exec_driver_sql("BEGIN" if deferred else "BEGIN IMMEDIATE")


def _prepare_postgres(raw: Any, lock_wait_ms: int) -> None:
    with raw.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {lock_wait_ms}")
        cursor.execute("SET TIME ZONE 'UTC'")
    raw.commit()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeout:
        raise Unavailable("the ledger has no free connection") from None
    except OperationalError as error:
        raise _meaning_of(error) from None
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise Unavailable("the ledger went away") from None


def _meaning_of(error: OperationalError) -> RadloopError:
    text, state = str(error.orig), getattr(error.orig, "sqlstate", None)
    if any(phrase in text for phrase in SQLITE_NO_ROOM) or state in POSTGRES_NO_ROOM:
        return StorageFull("the ledger has no room")
    return Unavailable(f"the ledger is locked or away ({type(error.orig).__name__})")
