"""What the delivery flow sees: objects in, one outcome each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from integrations.dimse.association import DEFAULT_AE_TITLE
from integrations.dimse.part10 import read_meta
from integrations.dimse.transfer import Item, in_memory, store
from radloop.domain.errors import InvalidObject, RadloopError, Unparsable
from radloop.domain.records import Accepted, Parcel
from radloop.settings import Peer


@dataclass(frozen=True, slots=True)
class DimseAdapter:
    """Sends DICOM objects by C-STORE. `ae_title` is ours, as the peer knows it."""

    ae_title: str = DEFAULT_AE_TITLE

    def send(self, peer: Peer, parcels: Sequence[Parcel]) -> tuple[Accepted | RadloopError, ...]:
        """Send every parcel over one association, its data a DICOM file, and give one outcome each, in order.

        A peer that drops the association gets one more for what is left. Never raises for what a peer does.
        """
        outcomes: dict[int, Accepted | RadloopError] = {}
        items = []
        for index, parcel in enumerate(parcels):
            try:
                items.append(_item(index, parcel))
            except Unparsable as error:
                outcomes[index] = InvalidObject(f"object {parcel.object.id}: {error}")
        outcomes.update((item.index, outcome) for item, outcome in store(peer, self.ae_title, items))
        return tuple(outcomes[index] for index in range(len(parcels)))


def _item(index: int, parcel: Parcel) -> Item:
    return Item(index, read_meta(parcel.data), len(parcel.data), partial(in_memory, parcel.data))


ADAPTER = DimseAdapter()
