"""TLS towards a peer: our certificate shown, theirs verified."""

import ssl

from radloop.domain.errors import Permanent
from radloop.settings import Peer, Tls


def client_context(peer: Peer, tls: Tls) -> ssl.SSLContext:
    """A context that verifies the peer's certificate and host name, and shows ours.

    Raises:
        Permanent: the files named in the settings cannot be used.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=tls.ca)
        context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:
        raise Permanent(f"peer {peer.name}: its TLS files cannot be used: {type(error).__name__}") from None
    return context
