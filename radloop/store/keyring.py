"""The keys: one folder, mode 0700, a file each, mode 0600.

    kek-0001.key ...   key-encryption keys, numbered; the highest is the current one. 32 random bytes
    audit.key          HMAC key of the audit's sealer. 32 random bytes
    site.key           signs model bundles and audit reports: private key on P-256, PEM, as model-signing takes it

A process that runs for months sees a rotation: the folder's modification time is looked at before each use.
"""

import os
import re
import secrets
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from radloop.domain.errors import IntegrityError, NotFound, Permanent, SettingsError, StorageFull

KEY_SIZE: Final = 32
AUDIT: Final = "audit.key"
SITE: Final = "site.key"
FORMER_SIGNING: Final = "signing.key"
"""The Ed25519 key of a radloop before model-signing, 32 bytes."""
_KEK_NAME: Final = re.compile(r"kek-(\d{4,9})\.key")


@dataclass(frozen=True, slots=True)
class Kek:
    """One key-encryption key; it never shows its bytes."""

    version: int
    cipher: AESGCM = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the folder held when its modification time was `seen_at`."""

    seen_at: int
    keks: dict[int, Kek]


class Keyring:
    """The keys of one home. Safe to share between threads; every process loads its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._loaded = _read_folder(folder)

    @classmethod
    def create(cls, folder: Path) -> "Keyring":
        """Make the folder and a first key of each kind, durably; keys that are there already are kept.

        Raises:
            SettingsError: the folder, or a key in it, is open to others.
            StorageFull: the keys could not be written.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            made: dict[str, Callable[[], bytes]] = {AUDIT: _random_key, SITE: new_signing_key}
            for name, make in (made if _versions(folder) else {**made, _kek_name(1): _random_key}).items():
                with suppress(FileExistsError):
                    _write_key(folder, name, make())
            _sync_folder(folder.parent)
        except OSError as error:
            raise StorageFull(f"the key folder cannot be written: {error.strerror}") from error
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> "Keyring":
        """Read the keys.

        Raises:
            SettingsError: a key is missing, is no key of its kind, or may be read by others.
        """
        _read_key(folder / AUDIT)
        _read_signing_key(folder / SITE)
        return cls(folder)

    @property
    def current(self) -> Kek:
        """The newest key-encryption key: what new objects are sealed under."""
        keks = self._fresh().keks
        return keks[max(keks)]

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions at hand, oldest first."""
        return tuple(sorted(self._fresh().keks))

    @property
    def audit_key(self) -> bytes:
        """32 bytes: the HMAC key of the audit's sealer."""
        return _read_key(self._folder / AUDIT)

    @property
    def signing_key(self) -> bytes:
        """The site's private key, on P-256 (NIST SP 800-186): PEM, PKCS #8 (RFC 5958)."""
        return _read_signing_key(self._folder / SITE)

    @property
    def former_signing_key(self) -> bytes | None:
        """32 bytes: the Ed25519 private key with which an earlier radloop signed here; None where none did."""
        path = self._folder / FORMER_SIGNING
        return _read_key(path) if path.exists() else None

    def forget_former(self) -> None:
        """Destroy the former signing key, once nothing waits for it."""
        (self._folder / FORMER_SIGNING).unlink(missing_ok=True)
        _sync_folder(self._folder)

    def kek(self, version: int) -> Kek:
        """One key-encryption key.

        Raises:
            IntegrityError: no such version, so what it sealed cannot be opened.
        """
        known = self._loaded.keks.get(version) or self._reloaded().keks.get(version)
        if known is None:
            raise IntegrityError(f"key version {version} is not in the key folder")
        return known

    def rotate(self) -> Kek:
        """Add the next version, durably; other processes see it at their next use.

        Raises:
            StorageFull: the key could not be written.
        """
        while True:
            version = max(_versions(self._folder)) + 1
            try:
                _write_key(self._folder, _kek_name(version), _random_key())
            except FileExistsError:
                continue
            except OSError as error:
                raise StorageFull(f"the new key cannot be written: {error.strerror}") from error
            return self._reloaded().keks[version]

    def retire(self, version: int) -> None:
        """Destroy one old version. `LocalStore.retire` first proves that no object needs it.

        Raises:
            NotFound: no such version.
            Permanent: it is the current one.
        """
        if version == self.current.version:
            raise Permanent("the current key cannot be retired: rotate first")
        try:
            (self._folder / _kek_name(version)).unlink()
        except FileNotFoundError:
            raise NotFound(f"key version {version} is not in the key folder") from None
        _sync_folder(self._folder)
        self._reloaded()

    def _fresh(self) -> _Loaded:
        # A key folder that went away or was opened to others after the start takes no key from a running process.
        with suppress(OSError, SettingsError):
            if self._folder.stat().st_mtime_ns != self._loaded.seen_at:
                return self._reloaded()
        return self._loaded

    def _reloaded(self) -> _Loaded:
        with self._lock:
            self._loaded = _read_folder(self._folder)
            return self._loaded


def new_signing_key() -> bytes:
    """A fresh private key on P-256: PEM, PKCS #8."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _random_key() -> bytes:
    return secrets.token_bytes(KEY_SIZE)


def _kek_name(version: int) -> str:
    return f"kek-{version:04d}.key"


def _versions(folder: Path) -> list[int]:
    return [int(match[1]) for path in folder.iterdir() if (match := _KEK_NAME.fullmatch(path.name))]


def _read_folder(folder: Path) -> _Loaded:
    _refuse_open(folder)
    # The time is taken before the names are: a key added in between is seen at the next use, never missed.
    seen_at = folder.stat().st_mtime_ns
    keks = {version: Kek(version, AESGCM(_read_key(folder / _kek_name(version)))) for version in _versions(folder)}
    if not keks:
        raise SettingsError(f"{folder}: expected at least one key file kek-0001.key (radloop init makes it)")
    return _Loaded(seen_at, keks)


def _read_key(path: Path) -> bytes:
    _refuse_open(path)
    key = path.read_bytes()
    if len(key) != KEY_SIZE:
        raise SettingsError(f"{path}: expected {KEY_SIZE} bytes of key, found {len(key)}")
    return key


def _read_signing_key(path: Path) -> bytes:
    _refuse_open(path)
    pem = path.read_bytes()
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != ec.SECP256R1.name:
        raise SettingsError(f"{path}: expected the PEM of a private key on P-256, without a password")
    return pem


def _refuse_open(path: Path) -> None:
    """A key that others may read is no key."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        raise SettingsError(f"{path}: expected a key here, found nothing (radloop init makes it)") from None
    if mode & 0o077:
        wanted = 0o700 if path.is_dir() else 0o600
        raise SettingsError(f"{path}: expected mode {wanted:04o}, found {mode:04o}: others could use the keys")


def _write_key(folder: Path, name: str, key: bytes) -> None:
    """A new key, whole or not at all; never over an old one (link refuses where rename would replace)."""
    temporary = folder / f".{secrets.token_hex(8)}.new"
    try:
        _write_private(temporary, key)
        os.link(temporary, folder / name)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    _sync_folder(folder)


def _write_private(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "wb") as file:  # noqa: PTH123 - the mode is set by os.open, so that the key is never open to others
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
