"""Whether the audit record is sound: the verb behind `radloop audit verify` and the button of the audit page."""

from collections.abc import Mapping
from pathlib import Path

from radloop.audit import Sealer, Verdict, verify
from radloop.ledger import Ledger


def verify_audit(ledger: Ledger, key: bytes, anchor: Path, witnessed: Mapping[int, bytes]) -> Verdict:
    """Walk the whole record, what waits for the sealer included; `witnessed`: links by number that others kept.

    While no runner seals, what waits is sealed here: a row that nobody sealed proves nothing. A record that does not
    hold is not sealed over.

    Raises:
        Unavailable: the ledger's.
    """
    before = verify(ledger, key, anchor, witnessed)
    if not (before.sound and before.waiting):
        return before
    while Sealer(ledger, key, anchor).seal():
        pass
    return verify(ledger, key, anchor, witnessed)
