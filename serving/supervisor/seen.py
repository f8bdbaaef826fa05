"""The board, as `flows.standstill` takes it."""

from collections.abc import Sequence

from flows.standstill import Process
from serving.supervisor.board import Entry, ProcessState


def processes_of(entries: Sequence[Entry]) -> tuple[Process, ...]:
    """One for each entry."""
    return tuple(
        Process(
            name=entry.name,
            state=entry.state,
            ready=entry.state is ProcessState.READY,
            essential=entry.essential,
            failures=entry.failures,
        )
        for entry in entries
    )
