"""A private authority for trials, and reading what a PEM file of certificates or keys holds (RFC 5280).

`HOME/certs` holds it all, keys 0600:

    ca.pem, ca.key            the authority
    server.pem, server.key    this host: what the gateway and the console show
    NAME.pem, NAME.key        a peer: both go to whoever runs it

Keys are RSA with 3072 bits: RFC 9325 section 4.5 asks for 2048 at least, and equipment in hospitals that speaks
DICOM over TLS knows RSA, and not always curves. A leaf is good for both ends of a connection, as a DICOM peer is both.
"""

import ipaddress
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from radloop.domain.errors import IntegrityError, NotFound, Rejected, StorageFull
from radloop.settings.sections import AE_TITLE_PATTERN

KEY_BITS: Final = 3072
LEAF_DAYS: Final = 398
"""The longest that browsers take (CA/Browser Forum baseline requirements, 6.3.2)."""
AUTHORITY_DAYS: Final = 5 * 365
# The other side's clock may be behind ours.
BACKDATED: Final = timedelta(minutes=10)
AUTHORITY: Final = "ca"
SERVER: Final = "server"
AE_URN: Final = "urn:dicom:ae:"
"""Before an AE title, percent-encoded (RFC 3986), in a URI of subjectAltName: the holder is that AE."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_HOST: Final = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a certificate is for: `name` is also the name of its files, `hosts` are DNS names and addresses."""

    name: str
    hosts: tuple[str, ...]
    ae_title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One certificate: its files, what it says, and until when. `sha256` is the fingerprint, hex."""

    name: str
    certificate: Path
    key: Path
    names: tuple[str, ...]
    sha256: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Made:
    """A key and its certificate that nobody has yet: `keep` writes them down."""

    name: str
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey = field(repr=False)


def make_authority(at: datetime) -> Made:
    """An authority: it signs leaves, and no other authority."""
    key = _new_key()
    # A number in the name tells two trials apart for whoever keeps both authorities in one list.
    name = _name(f"radloop trial authority {secrets.token_hex(4)}")
    certificate = (
        _builder(name, name, key, at, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Made(AUTHORITY, certificate, key)


def issue(folder: Path, subject: Subject, at: datetime) -> Made:
    """A key and its certificate, signed by the authority of `folder`.

    Raises:
        NotFound: there is no authority.
        IntegrityError: the authority's files are damaged.
        Rejected: a name that cannot be one.
    """
    _check(subject)
    authority, signer = _authority(folder)
    key = _new_key()
    days = min(timedelta(days=LEAF_DAYS), authority.not_valid_after_utc - at)
    certificate = (
        _builder(_name(subject.ae_title or subject.name), authority.subject, key, at, days.days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(list(_alternatives(subject))), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return Made(subject.name, certificate, key)


def keep(folder: Path, made: Made) -> Described:
    """Write both files, in place of former ones of that name.

    Raises:
        StorageFull: they could not be written.
    """
    secret = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / f"{made.name}.pem"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path.with_suffix(".key"), secret)
        _write(path, made.certificate.public_bytes(Encoding.PEM))
    except OSError as error:
        raise StorageFull(f"{folder} cannot be written: {error.strerror}") from error
    return describe(path)


def listed(folder: Path) -> tuple[Described, ...]:
    """Every certificate of the folder: the authority, this host, then the peers by name."""
    first = (AUTHORITY, SERVER)
    names = sorted(path.stem for path in folder.glob("*.pem"))
    ordered = (*(name for name in first if name in names), *(name for name in names if name not in first))
    return tuple(describe(folder / f"{name}.pem") for name in ordered)


def describe(path: Path) -> Described:
    """What the first certificate of a PEM file says.

    Raises:
        OSError: the file cannot be read.
        IntegrityError: it holds no certificate.
    """
    leaf = read_chain(path)[0]
    return Described(
        name=path.stem,
        certificate=path,
        key=path.with_suffix(".key"),
        names=_names(leaf),
        sha256=leaf.fingerprint(hashes.SHA256()).hex(),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )


def read_chain(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file, the holder's own first.

    Raises:
        OSError: the file cannot be read.
        IntegrityError: it holds no certificate.
    """
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError:
        raise IntegrityError(f"{path} holds no certificate (PEM)") from None


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may sign others (RFC 5280 section 4.2.1.9); one without the extension, as version 1 has, may not."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def belongs(certificate: x509.Certificate, key: bytes) -> bool:
    """Whether `key` (PEM) is the private key of `certificate`.

    Raises:
        ValueError: it is no key, or one under a passphrase.
    """
    try:
        return load_pem_private_key(key, password=None).public_key() == certificate.public_key()
    except TypeError:
        raise ValueError("under a passphrase, which nobody can type at a start") from None


def ae_uri(ae_title: str) -> str:
    """The URI by which a certificate names an AE."""
    return AE_URN + quote(ae_title.strip(), safe="")


def _check(subject: Subject) -> None:
    if not _NAME.fullmatch(subject.name) or subject.name == AUTHORITY:
        raise Rejected(
            f"{subject.name}: expected a peer's name: a letter, then letters, digits, _ and -, in lower case"
        )
    if subject.ae_title is not None and not re.fullmatch(AE_TITLE_PATTERN, subject.ae_title):
        raise Rejected(f"{subject.ae_title}: expected an AE title (PS3.5 Table 6.2-1): at most 16 characters")
    for host in subject.hosts:
        if not _is_address(host) and not _HOST.fullmatch(host):
            raise Rejected(f"{host}: expected a host name or an address")


def _authority(folder: Path) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    try:
        certificate = read_chain(folder / f"{AUTHORITY}.pem")[0]
        key = load_pem_private_key((folder / f"{AUTHORITY}.key").read_bytes(), password=None)
    except FileNotFoundError:
        raise NotFound("there is no authority: radloop certs init") from None
    except (OSError, ValueError, TypeError) as error:
        raise IntegrityError(f"the authority cannot be read: {type(error).__name__}") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
        raise IntegrityError("the authority's key is not the one of its certificate")
    return certificate, key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, at: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - BACKDATED)
        .not_valid_after(at - BACKDATED + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternatives(subject: Subject) -> Iterable[x509.GeneralName]:
    if subject.ae_title:
        yield x509.UniformResourceIdentifier(ae_uri(subject.ae_title))
    for host in subject.hosts:
        yield x509.IPAddress(ipaddress.ip_address(host)) if _is_address(host) else x509.DNSName(host)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    common = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(common)
    kinds = (x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier)
    others = [str(value) for kind in kinds for value in found.get_values_for_type(kind)]
    return tuple(dict.fromkeys((*common, *others)))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)


def _write(path: Path, data: bytes) -> None:
    """Replace a file, whole or not at all; only its owner may read it from the first byte on."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
