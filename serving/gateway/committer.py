"""Group commit: what all associations wait for right now goes into one ledger transaction.

A commit costs an fsync, whoever it is for. Whoever hands something over while no commit runs makes one, of everything
that waits; the others queue up behind it, and the first of them takes them all. There is no committing thread to wait
for: one association alone never changes threads.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from radloop.domain.errors import RadloopError, Rejected, Transient, Unavailable
from radloop.domain.records import Arrival
from radloop.ledger import Ledger, instances
from radloop.ledger.instances import Receipt

BATCH = 64


class NotRecordable(Rejected):
    """The ledger cannot hold what this arrival says."""

    code = "not-recordable"


@dataclass(slots=True, eq=False)
class _Waiting:
    """One arrival, and what became of it once `answer` is set."""

    arrival: Arrival
    answer: Receipt | RadloopError | None = None


class Committer:
    """Records arrivals. Threads share it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._queue: deque[_Waiting] = deque()
        self._committing = threading.Lock()

    def record(self, arrival: Arrival) -> Receipt:
        """Hand an arrival over; durable when this returns.

        Raises:
            Unavailable: the ledger is locked or away.
            StorageFull: it has no room.
            NotRecordable: it refuses this very arrival.
        """
        waiting = _Waiting(arrival)
        self._queue.append(waiting)
        while waiting.answer is None:
            with self._committing:
                if waiting.answer is None:
                    self._commit([self._queue.popleft() for _ in range(min(len(self._queue), BATCH))])
        if isinstance(waiting.answer, RadloopError):
            raise waiting.answer
        return waiting.answer

    def _commit(self, batch: Sequence[_Waiting]) -> None:
        try:
            receipts = self._record([waiting.arrival for waiting in batch])
        except Transient as error:
            _answer_all(batch, error)
        except (SQLAlchemyError, RadloopError, ValueError):
            self._commit_one_by_one(batch)
        else:
            for waiting, receipt in zip(batch, receipts, strict=True):
                waiting.answer = receipt
        finally:
            # A defect of ours must not leave the others waiting for ever.
            _answer_all([waiting for waiting in batch if waiting.answer is None], Unavailable("the ledger failed"))

    def _commit_one_by_one(self, batch: Sequence[_Waiting]) -> None:
        """One arrival that the ledger refuses must not cost the others their receipts."""
        if len(batch) > 1:
            for waiting in batch:
                self._commit([waiting])
        else:
            _answer_all(batch, NotRecordable("the ledger refuses this arrival"))

    def _record(self, arrivals: Sequence[Arrival]) -> tuple[Receipt, ...]:
        with self._ledger.write() as conn:
            return instances.record(conn, arrivals)


def _answer_all(batch: Sequence[_Waiting], error: RadloopError) -> None:
    for waiting in batch:
        waiting.answer = error
