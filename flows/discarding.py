"""Uploads go: when their owner says so, and when the site's time for them is over. Bytes first, noted after."""

import asyncio
from functools import partial
from typing import Final

from flows import policies
from flows.house import House
from radloop import audit
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import uploads as rows

ACTOR: Final = "runner"
AT_ONCE: Final = 50
EVERY_SECONDS: Final = 60.0


async def keep_discarding(house: House) -> None:
    """Look once a minute, for ever."""
    while True:
        look = partial(asyncio.to_thread, discard_due, house, ACTOR)
        await policies.patiently(policies.LEDGER, "discarding uploads", look)
        await asyncio.sleep(EVERY_SECONDS)


def discard(house: House, upload_id: str, actor: str) -> bool:
    """Delete an upload's bytes, then its report; whether there was anything to delete. Again is fine."""
    with house.ledger.read() as conn:
        keys = {one.blob.key for one in rows.files(conn, upload_id)}
    for key in sorted(keys):
        house.store.delete(key)
    with house.ledger.write() as conn:
        gone = rows.deleted(conn, upload_id, utc_now())
        if gone:
            event = AuditEvent(
                at=utc_now(),
                actor=actor,
                action="upload.delete",
                object_kind="upload",
                object_id=upload_id,
                detail=f"{len(keys)} stored files",
            )
            audit.append(conn, event)
    return gone


def discard_due(house: House, actor: str) -> int:
    """Delete what has been kept for as long as the site says; how many uploads."""
    with house.ledger.read() as conn:
        over = rows.due(conn, utc_now(), AT_ONCE)
    return sum(discard(house, upload_id, actor) for upload_id in over)
