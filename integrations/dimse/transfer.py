"""C-STORE of many objects over as few associations as it takes (PS3.4 Annex B)."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from integrations.dimse.association import MOST_CONTEXTS, Session, associate, contexts_for
from integrations.dimse.part10 import Meta
from integrations.dimse.statuses import store_outcome
from radloop.domain.errors import InvalidObject, RadloopError, Unavailable
from radloop.domain.records import Accepted
from radloop.settings import Peer

MOST_LOSSES = 2
"""Associations lost in a row, each with an object on it, before the rest waits: one may be that object's fault."""


@dataclass(frozen=True, slots=True)
class Item:
    """One object to send: what its file meta information says, its size in bytes, and how to open it as a file."""

    index: int
    meta: Meta
    size: int
    open: Callable[[], AbstractContextManager[Path]]

    @property
    def context(self) -> tuple[str, str]:
        """Its SOP class and transfer syntax."""
        return self.meta.sop_class_uid, self.meta.transfer_syntax_uid


@contextmanager
def in_memory(data: bytes) -> Iterator[Path]:
    """`data` as a file that is never on a disk: pynetdicom sends unchanged bytes from files only."""
    descriptor = os.memfd_create("object", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def store(peer: Peer, ae_title: str, items: Sequence[Item]) -> Iterator[tuple[Item, Accepted | RadloopError]]:
    """Send every item and yield it with its outcome, in the order in which they are sent. Raises nothing."""
    for group in _groups(items):
        yield from _store_group(peer, ae_title, group)


def _groups(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Split so that no association needs more than 128 contexts; one group nearly always."""
    by_context: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        by_context.setdefault(item.context, []).append(item)
    contexts = list(by_context)
    for start in range(0, len(contexts), MOST_CONTEXTS):
        chosen = set(contexts[start : start + MOST_CONTEXTS])
        yield [item for item in items if item.context in chosen]


def _store_group(peer: Peer, ae_title: str, items: list[Item]) -> Iterator[tuple[Item, Accepted | RadloopError]]:
    """One association, and another one for the rest where the peer drops it."""
    rest, losses = list(reversed(items)), 0
    failure: RadloopError = Unavailable(f"peer {peer.name} dropped the association twice in a row")
    while rest and losses < MOST_LOSSES:
        try:
            with associate(peer, ae_title, contexts_for([item.context for item in reversed(rest)])) as session:
                while rest and session.open:
                    item = rest.pop()
                    yield item, _store_one(session, item)
                    losses = 0 if session.open else losses + 1
        except RadloopError as error:
            failure, losses = error, MOST_LOSSES
    for item in reversed(rest):
        yield item, failure


def _store_one(session: Session, item: Item) -> Accepted | RadloopError:
    if not session.accepts(*item.context):
        return session.refusal(*item.context)
    try:
        with item.open() as path, session.waiting(size=item.size):
            response = session.assoc.send_c_store(path, msg_id=session.next_message_id())
    except RuntimeError:  # pynetdicom's word for an association that ended meanwhile
        return Unavailable(f"peer {session.peer.name} ended the association")
    except (AttributeError, OSError, ValueError) as error:
        return InvalidObject(f"an object cannot be sent: {type(error).__name__}")
    return store_outcome(session.peer.name, session.read(response))
