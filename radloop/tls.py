"""TLS by BCP 195 (RFC 8996, RFC 9325), which is what PS3.15 B.12 asks of DICOM: every listener, and towards peers.

ours       our certificate and its key, checked before a start: `server_context`, `client_context`, `doubts`
theirs     must come from the authority of the settings; `Holder` is who it says they are
"""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import unquote

from cryptography.hazmat.primitives.serialization import Encoding

from radloop.certificates import AE_URN, belongs, is_authority, read_chain
from radloop.domain.errors import IntegrityError, Permanent, SettingsError
from radloop.domain.ids import utc_now
from radloop.settings import Peer, Settings, Tls, place_of

# RFC 9325 section 4.2: ephemeral keys and authenticated encryption, so that DHE (section 4.1) and CBC are left out.
# TLS 1.3 has no others. Level 2 refuses RSA keys below 2048 bits and SHA-1 in certificates (section 4.5).
SUITES: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
_CIPHERS: Final = ":".join((*SUITES, "@SECLEVEL=2"))
SOON: Final = timedelta(days=30)
FINGERPRINT: Final = "sha256:"
_Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one file of a `Tls` table: its key there, and in words what."""

    key: Literal["certificate", "key", "ca"]
    words: str


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom the certificate of the other side names. `names` are compared without regard to case, AE titles exactly."""

    names: frozenset[str]
    ae_titles: frozenset[str]
    fingerprint: str

    def is_one_of(self, names: tuple[str, ...]) -> bool:
        """Whether the certificate carries one of these names, or has one of these fingerprints."""
        return any(self._is(name.strip().casefold()) for name in names)

    def _is(self, name: str) -> bool:
        # Apart: whoever may choose a common name must not be able to choose a fingerprint.
        if name.startswith(FINGERPRINT):
            return name.removeprefix(FINGERPRINT).replace(":", "") == self.fingerprint
        return name in self.names


def server_context(settings: Settings, door: Literal["gateway", "console"]) -> ssl.SSLContext | None:
    """What a listener speaks; None where its settings say plain. Mutual where they name an authority.

    Raises:
        SettingsError: a file cannot be used, the key is another's, or a certificate is out of its time.
    """
    tls = (settings.gateway if door == "gateway" else settings.console).tls
    if tls is None:
        return None
    if fault := unusable(tls) or untimely(tls, utc_now()):
        raise SettingsError(_sentence(settings, (door, "tls"), fault))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context)
    # RFC 9325 section 3.4: keys of tickets would have to change every week. Associations are few and long.
    context.num_tickets = 0
    try:
        _load(context, tls)
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise SettingsError(f"{place_of(settings.home, door, 'tls')}: cannot be used: {reason_of(error)}") from None
    return context


def client_context(peer: Peer, tls: Tls) -> ssl.SSLContext:
    """A context that verifies the peer's certificate and host name, and shows ours.

    Where `ca` is no authority but the peer's own certificate, that one alone is taken, under whatever name it stands.

    Raises:
        Permanent: the files named in the settings cannot be used.
    """
    if fault := unusable(tls):
        raise Permanent(f"peer {peer.name}: its TLS files cannot be used: {fault.key} {fault.words}")
    try:
        pinned = _pinned(tls)
        context = ssl.create_default_context(cafile=None if pinned else tls.ca, cadata=pinned)
        context.check_hostname = pinned is None
        _restrict(context)
        _load(context, tls)
    except OSError as error:
        raise Permanent(f"peer {peer.name}: its TLS files cannot be used: {reason_of(error)}") from None
    return context


def holder_of(sock: ssl.SSLSocket) -> Holder | None:
    """Who showed a certificate in the handshake; None where none was asked for."""
    encoded = sock.getpeercert(binary_form=True)
    # The subject is a sequence of sets of (kind, value).
    shown = cast("Mapping[str, Sequence[_Pair] | Sequence[Sequence[_Pair]]]", sock.getpeercert() or {})
    if not shown or not encoded:
        return None
    alternatives = [value for _, value in cast("Sequence[_Pair]", shown.get("subjectAltName", ()))]
    subject = cast("Sequence[Sequence[_Pair]]", shown.get("subject", ()))
    common = [value for part in subject for kind, value in part if kind == "commonName"]
    names = frozenset(name.strip().casefold() for name in (*alternatives, *common))
    titles = frozenset(unquote(name.removeprefix(AE_URN)) for name in alternatives if name.startswith(AE_URN))
    return Holder(names, titles, sha256(encoded).hexdigest())


def reason_of(error: OSError) -> str:
    """Why a connection or a file was refused: OpenSSL's own words where it was OpenSSL, which quote nobody."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason if isinstance(error, ssl.SSLError) else None) or type(error).__name__


def check(settings: Settings) -> None:
    """Look at every TLS file of the settings.

    Raises:
        SettingsError: a file cannot be used, a key is another's, or what a listener shows is out of its time.
    """
    for door in ("gateway", "console"):
        server_context(settings, door)
    for name, peer in settings.peers.items():
        if peer.tls is not None and (fault := unusable(peer.tls)):
            raise SettingsError(_sentence(settings, ("peers", name, "tls"), fault))


def doubts(settings: Settings) -> Iterator[str]:
    """What keeps nothing from starting, and wants somebody: certificates that end soon, and a peer's that has ended."""
    now = utc_now()
    for door, tls in (("gateway", settings.gateway.tls), ("console", settings.console.tls)):
        if tls is not None and (fault := _ending(tls, now)):
            yield _sentence(settings, (door, "tls"), fault)
    for name, peer in settings.peers.items():
        if peer.tls is not None and (fault := untimely(peer.tls, now) or _ending(peer.tls, now)):
            yield _sentence(settings, ("peers", name, "tls"), fault)


def unusable(tls: Tls) -> Fault | None:
    """A file that is missing or holds something else, or a key that is not the certificate's."""
    try:
        certificate = read_chain(tls.certificate)[0]
    except (OSError, IntegrityError) as error:
        return Fault("certificate", _why(tls.certificate, error))
    try:
        if not belongs(certificate, tls.key.read_bytes()):
            return Fault("key", f"{tls.key} is not the key of {tls.certificate}")
    except ValueError as error:
        return Fault("key", f"{tls.key} holds no private key that can be used: {_first_line(error)}")
    except OSError as error:
        return Fault("key", _why(tls.key, error))
    return _unusable_authority(tls.ca) if tls.ca is not None else None


def _unusable_authority(path: Path) -> Fault | None:
    try:
        read_chain(path)
    except (OSError, IntegrityError) as error:
        return Fault("ca", _why(path, error))
    return None


def untimely(tls: Tls, at: datetime) -> Fault | None:
    """A certificate that has ended or not begun, of files that can be used."""
    ours = read_chain(tls.certificate)[0]
    if at > ours.not_valid_after_utc:
        return Fault("certificate", f"{tls.certificate} ended on {ours.not_valid_after_utc:%Y-%m-%d}")
    if at < ours.not_valid_before_utc:
        return Fault("certificate", f"{tls.certificate} begins only on {ours.not_valid_before_utc:%Y-%m-%d}")
    if tls.ca is not None and (last := max(one.not_valid_after_utc for one in read_chain(tls.ca))) < at:
        return Fault("ca", f"{tls.ca} ended on {last:%Y-%m-%d}")
    return None


def _ending(tls: Tls, at: datetime) -> Fault | None:
    ends = read_chain(tls.certificate)[0].not_valid_after_utc
    return Fault("certificate", f"{tls.certificate} ends on {ends:%Y-%m-%d}") if at <= ends < at + SOON else None


def _restrict(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.set_ciphers(_CIPHERS)
    # RFC 9325 sections 3.4 and 3.5.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    # An authority below a root, or one device's own certificate, may be what is trusted.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _load(context: ssl.SSLContext, tls: Tls) -> None:
    # Without a word of ours OpenSSL would ask the terminal for a passphrase.
    context.load_cert_chain(tls.certificate, tls.key, password="")


def _pinned(tls: Tls) -> str | None:
    """The peer's own certificate (PEM), where `ca` is no authority, or is what we show ourselves."""
    first = read_chain(tls.ca)[0] if tls.ca is not None else None
    if first is None or (is_authority(first) and tls.ca != tls.certificate):
        return None
    return first.public_bytes(Encoding.PEM).decode()


def _sentence(settings: Settings, table: tuple[str, ...], fault: Fault) -> str:
    return f"{place_of(settings.home, *table, fault.key)}: {fault.words}"


def _why(path: Path, error: OSError | IntegrityError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path}: no such file"
    return str(error) if isinstance(error, IntegrityError) else f"{path} cannot be read: {type(error).__name__}"


def _first_line(error: ValueError) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
