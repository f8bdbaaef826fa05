"""C-ECHO: is the peer there, and does it know us? (PS3.4 Annex A)."""

import time

from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification

from integrations.dimse.association import DEFAULT_AE_TITLE, associate
from integrations.dimse.statuses import query_error
from radloop.domain.errors import Unavailable
from radloop.settings import Peer


def echo(peer: Peer, ae_title: str = DEFAULT_AE_TITLE) -> float:
    """Seconds from opening the association to the C-ECHO response.

    Raises:
        Unavailable: away, silent, or it refused for now.
        RefusedByPeer: it refused for good, e.g. it does not know our AE title.
    """
    begun = time.monotonic()
    with associate(peer, ae_title, [build_context(Verification)]) as session, session.waiting():
        try:
            response = session.assoc.send_c_echo(session.next_message_id())
        except RuntimeError:
            raise Unavailable(f"peer {peer.name} ended the association") from None
        if error := query_error(peer.name, "C-ECHO", session.read(response)):
            raise error
    return time.monotonic() - begun
