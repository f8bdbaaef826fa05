"""Retention: what is due to go after sign-off goes, from the store; the record of it stays.

Bytes are deleted first and noted as deleted after, so that a kill in between deletes them once more, which is fine.
"""

import asyncio
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from flows import policies
from flows.house import House
from radloop import audit
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent
from radloop.ledger import instances as instance_rows
from radloop.ledger import results as result_rows
from radloop.ledger import signoffs as signoff_rows

log = structlog.get_logger()

ACTOR: Final = "runner"
AT_ONCE: Final = 50
EVERY_SECONDS: Final = 60.0


def forget_due(house: House) -> int:
    """Delete images, pictures and heatmaps of signed study versions that are due; how many versions there were.

    What was sent, and every row, stays. A study of which a later version is not due keeps its images.

    Raises:
        Unavailable, StorageFull: the ledger's and the store's; what was noted is gone, the rest is still due.
    """
    with house.ledger.read() as conn:
        due = signoff_rows.to_forget(conn, utc_now(), AT_ONCE)
    return sum(_forget(house, version_id) for version_id in due)


async def keep_forgetting(house: House) -> None:
    """Look once a minute, for ever; nothing is looked for where the site keeps everything."""
    while house.settings.retention.pictures_days is not None:
        look = partial(asyncio.to_thread, forget_due, house)
        await policies.patiently(policies.LEDGER, "forgetting pictures", look)
        await asyncio.sleep(EVERY_SECONDS)


def _forget(house: House, version_id: str) -> bool:
    with house.ledger.read() as conn:
        keys = _keys(conn, version_id)
    for key in keys:
        house.store.delete(key)
    with house.ledger.write() as conn:
        gone = signoff_rows.forgotten(conn, version_id, utc_now())
        if gone:
            audit.append(conn, _event(version_id, len(keys)))
    if gone:
        log.info("pictures forgotten", version=version_id, objects=len(keys))
    return gone


def _keys(conn: Connection, version_id: str) -> tuple[str, ...]:
    images = [instance.blob.key for instance in instance_rows.of_version(conn, version_id)]
    findings = [one for result in result_rows.of_version(conn, version_id) for one in result.findings]
    pictures = {key for one in findings for key in (one.picture_key, one.heatmap_key) if key}
    return (*images, *sorted(pictures))


def _event(version_id: str, objects: int) -> AuditEvent:
    return AuditEvent(
        at=utc_now(),
        actor=ACTOR,
        action="forget",
        object_kind="study_version",
        object_id=version_id,
        detail=f"{objects} stored objects, by the retention policy",
    )
