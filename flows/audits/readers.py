"""A reader's own page: who may see it, and that it was looked at stands in the audit.

A page is for the reader that it is of, and for the lead reader that the site names; it offers second reads.
"""

from flows.audits.cases import gather
from flows.audits.disagreement import ReaderPage, reader_pages
from flows.audits.period import Period
from flows.house import House
from radloop import audit
from radloop.domain.enums import ActorKind
from radloop.domain.errors import Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import Actor, AuditEvent

REFUSED = "a reader's page is for that reader and the lead reader ([audit] lead_readers) alone"


def pages_for(
    house: House, actor: Actor, period: Period, reader: str = "", model: str = "", *, leads: bool = False
) -> tuple[ReaderPage, ...]:
    """The pages that `actor` asks for: of `reader`; '': their own, or for a lead reader everybody's, by name.

    `leads`: the directory says that they lead the readers; `[audit] lead_readers` may say so too.

    Raises:
        Rejected: they may not see it; the audit has it.
        Transient: the ledger is away.
    """
    leads = (leads or actor.name in house.settings.audit.lead_readers) and actor.kind is ActorKind.PERSON
    wanted = reader or ("" if leads else actor.name)
    if wanted != actor.name and not leads:
        _record(house, actor, "report.readers.deny", "another reader's page")
        raise Rejected(REFUSED)
    with house.ledger.read() as conn:
        pages = reader_pages(gather(conn, period, model))
    _record(house, actor, "report.readers", _whose(actor, wanted))
    return tuple(page for page in pages if wanted in ("", page.reader))


def _whose(actor: Actor, wanted: str) -> str:
    return "own page" if wanted == actor.name else "one reader's page, as lead" if wanted else "all pages, as lead"


def _record(house: House, actor: Actor, action: str, detail: str) -> None:
    with house.ledger.write() as conn:
        event = AuditEvent(
            at=utc_now(), actor=actor.name, action=action, object_kind="reader", object_id=actor.id, detail=detail
        )
        audit.append(conn, event)
