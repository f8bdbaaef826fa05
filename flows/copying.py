"""Images to training copies, looked at as inference looks at them: a few at a time, decoded in bounded children."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from flows.guards import Reason
from flows.house import House
from models.preparation import excluded, header_facts
from models.spec import ModelSpec
from models.training.arrays import Arrays, stacked
from models.training.copies import Prepared, pack, prepare, unpack
from radloop.domain.enums import Split
from radloop.domain.errors import IntegrityError, NotFound, Permanent, Rejected
from radloop.domain.ids import new_id, utc_now
from radloop.domain.learning import Cohort, Facts, TrainingCopy
from radloop.ledger import copies as copy_rows
from radloop.pixels import DecodePool, Limits, read_header

WORKERS: Final = 2
"""Images that are decoded, prepared and stored beside each other."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a copy's row says besides its pixels."""

    content_sha256: str
    patient: str
    facts: Facts
    version_id: str | None = None
    instance_id: str | None = None


class Copier:
    """Makes training copies for one model. Its decoders start when the first image needs one."""

    def __init__(self, house: House, spec: ModelSpec) -> None:
        self.house = house
        self.spec = spec
        self.threads = ThreadPoolExecutor(WORKERS, "copier")

    def copy(self, data: bytes, origin: Origin) -> TrainingCopy | Reason:
        """The copy of one Part 10 file, its bytes in the store and its row not yet in the ledger; or why there is none.

        Raises:
            Transient: the store or the decoder is away.
        """
        try:
            prepared = self._prepared(data)
        except (Rejected, IntegrityError):
            return Reason.UNDECODABLE
        if prepared is None or prepared.flat:
            return Reason.OUTSIDE if prepared is None else Reason.UNDECODABLE
        return TrainingCopy(
            id=new_id("tc"),
            model=self.spec.name,
            patient=origin.patient,
            version_id=origin.version_id,
            instance_id=origin.instance_id,
            content_sha256=origin.content_sha256,
            pixel_sha256=prepared.pixel_sha256,
            blob=self.house.store.put(pack(prepared)),
            facts=origin.facts,
            at=utc_now(),
        )

    def close(self) -> None:
        """End the threads and the decoders."""
        self.threads.shutdown()
        if "_pool" in self.__dict__:
            self._pool.close()

    @cached_property
    def _pool(self) -> DecodePool:
        return DecodePool(WORKERS, Limits(seconds=self.house.settings.inference.deadline_seconds / 2))

    def _prepared(self, data: bytes) -> Prepared | None:
        """None where the card excludes the image."""
        facts = header_facts(read_header(data))
        if excluded(facts, self.spec.applicability.plane, self.spec.window):
            return None
        return prepare(self._pool.decode(data).pixels, facts, self.spec.input_size, self.spec.window)


@contextmanager
def copier(house: House, spec: ModelSpec) -> Iterator[Copier]:
    """A copier that ends with the block."""
    made = Copier(house, spec)
    try:
        yield made
    finally:
        made.close()


def load_arrays(house: House, cohort: Cohort, split: Split) -> Arrays:
    """The images and labels of one split, in the order of the manifest.

    Raises:
        Permanent: copies were deleted, since consent was withdrawn: how many is said. Freeze another cohort.
        NotFound: the cohort has nobody in this split, or bytes are being deleted just now.
        IntegrityError: bytes at rest were changed.
    """
    members = [member for member in cohort.members if member.split is split]
    if not members:
        raise NotFound(f"cohort {cohort.id} has no image in {split}")
    with house.ledger.read() as conn:
        found = copy_rows.get_many(conn, [member.copy_id for member in members])
    if len(found) < len(members):
        gone = len(members) - len(found)
        raise Permanent(f"{gone} of {len(members)} training copies of cohort {cohort.id} are gone: freeze another")
    with ThreadPoolExecutor(WORKERS, "loader") as threads:
        copies = threads.map(lambda copy: unpack(house.store.get(copy.blob.key)), found)
        labels, groups = [member.label.value for member in members], [member.patient for member in members]
        return stacked(copies, labels, groups, [member.facts for member in members])
