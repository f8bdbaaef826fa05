"""The record of who did what, forwarded: every sealed record, in order, to the site's audit server.

The ledger is the spool. A batch counts as forwarded once the server has read it (`integrations.syslog`); whatever comes
in between, the next round begins after the last such batch. So nothing is lost, and after a break the records of at
most one batch arrive twice: they carry the same number and link both times.
"""

from typing import Final

from flows.audit_exporting import source_of
from flows.house import House
from integrations.syslog import framed, send
from radloop.domain.ids import utc_now
from radloop.ledger import audit_forwarded, audit_log

BATCH: Final = 500
ROUND_SECONDS: Final = 2.0
"""How often it is looked for what was sealed meanwhile."""


def forward_due(house: House) -> int:
    """Forward one batch, where a server is set up and something is sealed; how many records there were.

    Raises:
        Unavailable: the server, or the ledger, is away; the same batch is due again.
        Permanent: the server or our own files have to be looked at by a person; the batch stays due.
    """
    syslog = house.settings.audit.syslog
    if syslog is None:
        return 0
    with house.ledger.read() as conn:
        entries = audit_log.sealed_after(conn, audit_forwarded.position(conn, syslog.address), BATCH)
    if not entries:
        return 0
    source = source_of(house)
    send(syslog, [framed(entry, source) for entry in entries])
    with house.ledger.write() as conn:
        audit_forwarded.advance(conn, syslog.address, entries[-1].number or 0, utc_now())
    return len(entries)


def rest_after(done: object) -> float:
    """Seconds to wait after a round that forwarded so many: none while there is more."""
    return 0.0 if done == BATCH else ROUND_SECONDS
