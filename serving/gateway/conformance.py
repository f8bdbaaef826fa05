"""The DICOM conformance statement (PS3.2), made from the running configuration."""

from collections.abc import Iterable, Iterator, Sequence

from pydicom._uid_dict import UID_dictionary

from radloop import __version__
from radloop.certificates import AE_URN
from radloop.domain.enums import PeerRole
from radloop.domain.ids import derive_uid
from radloop.settings import GatewaySettings, Peer, Settings
from radloop.tls import SUITES
from serving.gateway.association import ADVERTISED_PDU, ASSOCIATE_LIMIT
from serving.gateway.contexts import TRANSFER_SYNTAXES, storage_classes
from serving.gateway.dimse import EVENT_LIMIT
from serving.gateway.part10 import VERSION_NAME
from serving.gateway.statuses import EVENT_STATUSES, REJECTIONS, STORE_STATUSES

VERIFICATION = "1.2.840.10008.1.1"
ASKS = {
    PeerRole.SOURCE: "sends instances; answers C-FIND and C-MOVE where it has a port",
    PeerRole.RESULTS: "gets SR and SC by C-STORE",
}


def statement(settings: Settings) -> str:
    """The conformance statement of these settings, in Markdown."""
    parts = (
        _overview(settings),
        _networking(settings),
        _policies(settings.gateway),
        _peers(settings.peers.values()),
        _statuses(),
        _commitment(),
        _rejections(),
        _security(settings.gateway),
        _uids(
            "Storage SOP classes", "Private SOP classes (outside 1.2.840.10008) are taken as well.", storage_classes()
        ),
        _uids("Transfer syntaxes", "Kept as received; the sender's first choice is accepted.", TRANSFER_SYNTAXES),
    )
    return "\n".join(line for part in parts for line in (*part, ""))


def _overview(settings: Settings) -> Iterator[str]:
    yield "# DICOM conformance statement (PS3.2)"
    yield ""
    yield f"radloop {__version__} receives images, has models read them, and sends the answers back."
    yield "Received instances are stored bit for bit (Level 2, full storage) and never changed."
    yield f"Objects of its own are made under the UID root {settings.site.uid_root}."


def _networking(settings: Settings) -> Iterator[str]:
    implementation = derive_uid(settings.site.uid_root, "implementation")
    yield "## Application entity"
    yield ""
    rows = [
        ("AE title", settings.gateway.ae_title),
        ("Address and port", f"{settings.gateway.host}:{settings.gateway.dicom_port or 'a free one'}"),
        ("Implementation Class UID", implementation),
        ("Implementation Version Name", VERSION_NAME),
        ("Application context", "1.2.840.10008.3.1.1.1"),
    ]
    yield from _table(("Property", "Value"), rows)
    yield ""
    services = [
        ("Verification", "SCP and SCU", VERIFICATION),
        ("Storage", "SCP (below) and SCU (results)", "see the list of SOP classes"),
        ("Storage Commitment Push Model", "SCU", "1.2.840.10008.1.20.1"),
        ("Query/Retrieve, Study Root FIND", "SCU", "1.2.840.10008.5.1.4.1.2.2.1"),
        ("Query/Retrieve, Study Root MOVE", "SCU", "1.2.840.10008.5.1.4.1.2.2.2"),
    ]
    yield from _table(("Service", "Role", "SOP class"), services)


def _policies(gateway: GatewaySettings) -> Iterator[str]:
    yield "## Association policies"
    yield ""
    rows = [
        ("Associations at once", f"{gateway.max_associations} per process, {gateway.processes} process(es)"),
        ("Connections of one address without an association", str(gateway.max_pending_per_address)),
        ("Asynchronous operations", "none: one operation at a time"),
        ("Maximum PDU length offered", f"{min(ADVERTISED_PDU, gateway.max_pdu)} bytes"),
        ("Largest P-DATA-TF that is read", f"{gateway.max_pdu} bytes"),
        ("Largest other PDU that is read", f"{ASSOCIATE_LIMIT} bytes"),
        ("Largest instance that is taken", f"{gateway.max_instance_bytes} bytes"),
        ("Largest event information that is taken", f"{EVENT_LIMIT} bytes"),
        ("ARTIM: association request after connecting", f"{gateway.pdu_deadline_seconds:g} s"),
        ("A PDU that began must end within", f"{gateway.pdu_deadline_seconds:g} s"),
        ("An idle association is aborted after", f"{gateway.idle_seconds:g} s"),
    ]
    yield from _table(("Policy", "Value"), rows)


def _peers(peers: Iterable[Peer]) -> Iterator[str]:
    yield "## Peers"
    yield ""
    yield "An association is accepted only from a peer's AE title and address together. Everyone else is rejected."
    yield ""
    rows = [(peer.name, peer.ae_title, _asks(peer)) for peer in peers if peer.ae_title]
    yield from _table(("Peer", "AE title", "What it does"), rows or [("none", "", "")])


def _asks(peer: Peer) -> str:
    asks = (words for role, words in ASKS.items() if role in peer.roles)
    return "; ".join(("C-ECHO", *asks, *(("is asked for storage commitment",) if peer.commitment else ())))


def _statuses() -> Iterator[str]:
    yield "## C-STORE statuses (PS3.4 Table B.2-1)"
    yield ""
    yield "0x0000 is sent when the instance is on disk, synced, and on record. What is refused is kept in quarantine."
    yield ""
    yield from _table(("Status", "Meaning", "When"), [(f"0x{s.code:04X}", s.words, s.when) for s in STORE_STATUSES])


def _commitment() -> Iterator[str]:
    yield "## Storage commitment (PS3.4 Annex J)"
    yield ""
    yield "Peers with `commitment = true` are asked by N-ACTION for every DICOM object that they accepted; then our"
    yield "association is released. They answer by N-EVENT-REPORT over one of their own, as SCP (role selection,"
    yield "PS3.7 D.3.3.4), in Implicit or Explicit VR Little Endian. 0x0000 is sent after the commit."
    yield ""
    yield from _table(("Status", "Meaning", "When"), [(f"0x{s.code:04X}", s.words, s.when) for s in EVENT_STATUSES])


def _rejections() -> Iterator[str]:
    yield "## Association rejections (PS3.8 Table 9-21)"
    yield ""
    rows = [(str(r.result), str(r.source), str(r.reason), r.when) for r in REJECTIONS]
    yield from _table(("Result", "Source", "Reason", "When"), rows)


def _security(gateway: GatewaySettings) -> Iterator[str]:
    yield "## Security"
    yield ""
    if gateway.tls is None:
        yield "Plain TCP: `gateway.tls` is not set."
    else:
        yield from _tls(asks=gateway.tls.ca is not None)
    yield "At rest every instance is encrypted with AES-256-GCM."


def _tls(*, asks: bool) -> Iterator[str]:
    yield "TLS by the BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12), as server and as"
    yield "client; TLS alone is spoken on this port, and none is begun on a plain connection."
    yield ""
    rows = [
        ("Versions", "TLS 1.3, TLS 1.2"),
        ("Cipher suites of TLS 1.2", ", ".join(SUITES)),
        ("Cipher suites of TLS 1.3", "TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, TLS_AES_128_GCM_SHA256"),
        ("Renegotiation, compression, session tickets", "none"),
        ("Keys in certificates", "RSA from 2048 bits, elliptic curves from 224 bits"),
        ("Key management", "PEM files, named in the settings"),
        ("Peer's certificate", "required, from the authority of `gateway.tls.ca`" if asks else "not asked for"),
    ]
    yield from _table(("Property", "Value"), rows)
    yield ""
    if asks:
        yield f"A certificate that names AEs (URI `{AE_URN}TITLE` in subjectAltName) is taken from those AEs"
        yield "alone. Where a peer has `certificate_names`, its certificate must carry one of them."


def _uids(title: str, words: str, uids: Sequence[str]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield words
    yield ""
    yield from _table(("Name", "UID"), [(UID_dictionary[uid][0], uid) for uid in sorted(uids, key=_numerically)])


def _numerically(uid: str) -> tuple[int, ...]:
    return tuple(map(int, uid.split(".")))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |"
