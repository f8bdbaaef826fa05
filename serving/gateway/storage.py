"""C-STORE: checked, written, recorded, and only then acknowledged (PS3.4 Annex B).

Bytes -> store (fsync, rename, fsync) -> ledger (commit) -> 0x0000.
"""

from dataclasses import dataclass
from typing import Final

import structlog

from radloop.domain.errors import DuplicateConflict, MismatchedIdentity, RadloopError, Rejected, TooLarge, Transient
from radloop.domain.ids import utc_now
from radloop.domain.records import Arrival, Blob, InstanceHeader
from radloop.ledger.instances import Outcome, Receipt
from radloop.pixels import parse_identity
from radloop.store import LocalStore
from serving.gateway.aside import Quarantine
from serving.gateway.association import StoreRequest
from serving.gateway.committer import Committer
from serving.gateway.part10 import FileMeta
from serving.gateway.readiness import Readiness
from serving.gateway.statuses import SUCCESS, of_error

log = structlog.get_logger(__name__)

SURPLUS: Final = frozenset((Outcome.DUPLICATE, Outcome.OWN))


@dataclass(frozen=True, slots=True)
class Storage:
    """Answers C-STORE."""

    store_: LocalStore
    committer: Committer
    quarantine: Quarantine
    readiness: Readiness
    file_meta: FileMeta

    def store(self, request: StoreRequest) -> int:
        """The status of one request (PS3.4 Table B.2-1); 0x0000 only for what is durable."""
        try:
            self._take(request)
        except Transient as error:
            log.error("not stored", reason=error.code, peer=request.peer)  # noqa: TRY400 - the reason is the error
            self.readiness.failed(error)
            return of_error(error).code
        except Rejected as error:
            return self._refuse(error, request)
        self.readiness.worked()
        return SUCCESS.code

    def _take(self, request: StoreRequest) -> None:
        data, content_sha256 = _within_limits(request)
        header = _checked_header(request, data)
        blob = self.store_.put_parts([self._meta_of(request), data])
        try:
            receipt = self.committer.record(_arrival(header, blob, content_sha256, request.peer))
        except RadloopError:
            self.quarantine.discard(blob)
            raise
        self._settle(receipt)

    def _meta_of(self, request: StoreRequest) -> bytes:
        return self.file_meta.header(request.sop_class_uid, request.sop_uid, request.transfer_syntax_uid)

    def _parts(self, request: StoreRequest) -> list[bytes | memoryview] | None:
        return None if request.data is None else [self._meta_of(request), request.data]

    def _refuse(self, error: Rejected, request: StoreRequest) -> int:
        """Set the bytes aside, then say so. A conflict's bytes are aside already."""
        try:
            if not isinstance(error, DuplicateConflict):
                self.quarantine.set_aside(error, request.peer, self._parts(request))
        except Transient as full:
            self.readiness.failed(full)
            return of_error(full).code
        return of_error(error).code

    def _settle(self, receipt: Receipt) -> None:
        """Bytes that no row of `instances` names go: held already, our own object come back, or into quarantine."""
        if receipt.outcome in SURPLUS:
            self.quarantine.discard(receipt.arrival.blob)
        elif receipt.outcome is Outcome.CONFLICT:
            error = DuplicateConflict("the SOP Instance UID is held with other bytes")
            self.quarantine.keep(error, receipt.arrival.peer, receipt.arrival.blob)
            raise error


def _within_limits(request: StoreRequest) -> tuple[memoryview, str]:
    if request.data is None or request.content_sha256 is None:
        raise TooLarge("the instance is larger than the largest that is taken")
    return request.data, request.content_sha256


def _checked_header(request: StoreRequest, data: memoryview) -> InstanceHeader:
    """The identifiers of a whole data set, once they are known to be what the request says.

    PS3.4 B.2.3 with PS3.7 9.1.1: the data set is an instance of the Affected SOP Class under the Affected SOP
    Instance UID.
    """
    header = parse_identity(data, request.transfer_syntax_uid)
    if header.sop_class_uid != request.sop_class_uid or header.sop_class_uid != request.abstract_syntax_uid:
        raise MismatchedIdentity("the SOP class of the data set is not that of the request")
    if header.sop_uid != request.sop_uid:
        raise MismatchedIdentity("the SOP Instance UID of the data set is not that of the request")
    return header


def _arrival(header: InstanceHeader, blob: Blob, content_sha256: str, peer: str) -> Arrival:
    return Arrival(header=header, blob=blob, content_sha256=content_sha256, peer=peer, received_at=utc_now())
