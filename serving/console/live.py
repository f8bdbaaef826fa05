"""What moves without a reload: one look at the ledger a second for all who watch, and a word to each on a change."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from radloop.domain.errors import RadloopError

log = structlog.get_logger(__name__)
EVERY_SECONDS: Final = 1.0
ALIVE_SECONDS: Final = 20.0
LASTS_SECONDS: Final = 15 * 60.0
"""A stream ends after this long, and its page asks again: whoever may not any more is then refused."""


class Pulse:
    """Watches one thing while somebody listens. `read` tells (in a thread) a text that changes when the thing does."""

    def __init__(self, read: Callable[[], str], every_seconds: float = EVERY_SECONDS) -> None:
        self._read = read
        self._every = every_seconds
        self._changed = asyncio.Event()
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self.stamp = ""

    @property
    def listened(self) -> bool:
        """Whether anybody listens."""
        return self._listeners > 0

    async def changes(self) -> AsyncIterator[str]:
        """The stamp now, and each later one; every 20 s an empty text, so that a lost browser is noticed."""
        self._listeners += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        try:
            told = self.stamp
            yield told
            while True:
                changed = self._changed
                try:
                    await asyncio.wait_for(changed.wait(), ALIVE_SECONDS)
                except TimeoutError:
                    yield ""
                    continue
                if self.stamp != told:
                    told = self.stamp
                    yield told
        finally:
            self._listeners -= 1

    async def _watch(self) -> None:
        while self._listeners:
            try:
                now = await run_in_threadpool(self._read)
            except RadloopError as error:
                log.warning("cannot look", error=error.code)
            else:
                if now != self.stamp:
                    self.stamp = now
                    changed, self._changed = self._changed, asyncio.Event()
                    changed.set()
            await asyncio.sleep(self._every)


def events(pulse: Pulse) -> StreamingResponse:
    """Server-sent events (HTML Living Standard 9.2): one `message` a change; the page asks for what it shows itself."""
    return StreamingResponse(_stream(pulse), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _stream(pulse: Pulse) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    until = loop.time() + LASTS_SECONDS
    yield "retry: 3000\n\n"
    first = True
    async for stamp in pulse.changes():
        if loop.time() > until:
            return
        yield ":\n\n" if not stamp or first else f"id: {stamp}\ndata: changed\n\n"
        first = False
