"""The worklist as it is shown: drawn once for all who watch the same, sent to each as far as it has changed."""

import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, replace
from urllib.parse import urlencode

from fastapi import Request

from flows.house import House
from radloop.domain.ids import utc_now
from serving.console.api.worklist import Asked, Listed, listed_once, room_of
from serving.console.live import LASTS_SECONDS
from serving.console.reading_room import ReadingRoom
from serving.console.rendering import render_text, waited
from serving.console.worklist_rows import Row


@dataclass(frozen=True, slots=True)
class Drawn:
    """One page of the list: its rows and its counts as HTML, and a text that changes with the rows.

    Nothing in it is one person's own.
    """

    rows: str
    counts: str
    digest: str


def address(wanted: Asked, **changes: object) -> str:
    """The list's own address with these filters; what filters nothing is left out."""
    return _address("/worklist", replace(wanted, **{"after": "", **changes}) if changes else wanted)  # type: ignore[arg-type]


def stream_address(wanted: Asked, drawn: Drawn) -> str:
    """Where the page hears of changes, since what it shows."""
    address = _address("/api/v1/worklist/rows/events", wanted)
    return f"{address}{'&' if '?' in address else '?'}have={drawn.digest}"


def draw(request: Request, house: House, wanted: Asked, stamp: str) -> Drawn:
    """The list at a stamp, drawn where nobody has drawn it yet."""
    room = room_of(request)
    return room.kept.get(("drawn", wanted), stamp, lambda: _draw(request, house, room, wanted, stamp))


async def changes(request: Request, house: House, wanted: Asked, have: str) -> AsyncIterator[bytes]:
    """Server-sent events (HTML Living Standard 9.2): `rows` and `counts` with the HTML that takes their place."""
    room, until = room_of(request), time.monotonic() + LASTS_SECONDS
    digest, counts = have, ""
    yield b"retry: 3000\n\n"
    async for stamp in room.worklist.changes():
        if time.monotonic() > until:
            return
        if not stamp:
            yield b":\n\n"
            continue
        drawn = await room.shared.get(("drawn", wanted), stamp, lambda stamp=stamp: draw(request, house, wanted, stamp))  # type: ignore[misc]
        if drawn.counts != counts:
            counts = drawn.counts
            yield _message("counts", counts)
        if drawn.digest != digest:
            digest = drawn.digest
            yield _message("rows", drawn.rows)


def _draw(request: Request, house: House, room: ReadingRoom, wanted: Asked, stamp: str) -> Drawn:
    found = listed_once(house, room, wanted, stamp)
    rows = "".join(_row(request, room, row) for row in found.rows)
    html = _line(render_text(request, None, "worklist_rows.html", rows=rows, **_around(found, wanted)))
    counts = _line(render_text(request, None, "worklist_counts.html", **_around(found, wanted)))
    told = repr((found.rows, found.after))
    return Drawn(html, counts, hashlib.sha256(told.encode()).hexdigest()[:16])


def _row(request: Request, room: ReadingRoom, row: Row) -> str:
    """One row: of a hundred one has changed, mostly."""
    shown = (repr(row), waited(row.since, row.signed_at or utc_now()))
    return room.rows.get(row.version_id, shown, lambda: render_text(request, None, "worklist_row.html", row=row))


def _around(found: Listed, wanted: Asked) -> Mapping[str, object]:
    return {
        "found": found,
        "wanted": wanted,
        "by_urgency": {urgency: address(wanted, urgency=urgency) for urgency in found.counts},
        "everything": address(wanted, urgency=None),
        "further": address(wanted, after=found.after) if found.after else None,
        "first": address(wanted, after="") if wanted.after else None,
    }


def _address(path: str, wanted: Asked) -> str:
    asked = asdict(wanted)
    asked["state"] = asked.pop("place")
    query = urlencode({name: value for name, value in asked.items() if value})
    return f"{path}?{query}" if query else path


def _line(html: str) -> str:
    """One line: a message of a stream ends with its line."""
    return " ".join(html.split())


def _message(event: str, html: str) -> bytes:
    return f"event: {event}\ndata: {html}\n\n".encode()
