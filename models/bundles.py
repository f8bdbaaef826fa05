"""Bundles at rest: a manifest of SHA-256 sums, its digest, and the site's signature over all files (model-signing).

A bundle holds numbers and words (safetensors, JSON, Markdown), never code: anything else in the folder is
refused, so a pickle cannot even lie beside the weights.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from models.spec import CARD, MANIFEST
from radloop.domain.errors import IntegrityError

SIGNATURE = "model.sig"
FORMER_SIGNATURE = "manifest.sig"
"""Ed25519 over the manifest, of a radloop before model-signing; see `sign_again`."""
SUFFIXES = frozenset({".safetensors", ".json", ".md"})
LARGEST_FILE = 64 * 1024 * 1024


def manifest(folder: Path) -> bytes:
    """The manifest of what lies in the folder: sorted JSON, relative path to SHA-256 (hex), without itself.

    Raises:
        IntegrityError: the folder holds something that no bundle may hold.
    """
    sums = {path: hashlib.sha256(data).hexdigest() for path, data in _read(folder) if path not in (MANIFEST, SIGNATURE)}
    return (json.dumps({"files": dict(sorted(sums.items()))}, indent=1) + "\n").encode()


def digest(folder: Path) -> str:
    """SHA-256 (hex) of the manifest's bytes: the name of this model version everywhere.

    Raises:
        IntegrityError: there is no manifest.
    """
    try:
        return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    except OSError as error:
        raise IntegrityError("the bundle has no manifest") from error


def contents(folder: Path) -> Mapping[str, bytes]:
    """Every file of the bundle by its relative path, each checked against the manifest.

    What was checked is what is returned: nobody can swap a file between the check and its use.

    Raises:
        IntegrityError: a file is missing, extra, changed, or of a kind no bundle may hold.
    """
    files = dict(_read(folder))
    if FORMER_SIGNATURE in files:
        raise IntegrityError(
            "the bundle has an earlier radloop's signature: `radloop init` signs again what the key of then did sign"
        )
    return _checked(files)


def sign(folder: Path, signing_key: bytes) -> bytes:
    """Write `model.sig`, the signature over every other file, and return it.

    Args:
        folder: a bundle whose files match its manifest.
        signing_key: the site's private key, PEM (`Keyring.signing_key`).

    Raises:
        IntegrityError: the bundle does not match its manifest, or the key is no key.
    """
    signature = _signature(contents(folder), signing_key)
    _write(folder / SIGNATURE, signature)
    return signature


def public_key(signing_key: bytes) -> bytes:
    """The public half of a private key, PEM (SubjectPublicKeyInfo, RFC 5480).

    Raises:
        IntegrityError: the key is no key.
    """
    try:
        key = load_pem_private_key(signing_key, password=None)
    except (ValueError, TypeError) as error:
        raise IntegrityError("the signing key is not a P-256 key") from error
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def verify(folder: Path, public: bytes) -> str:
    """The digest of a bundle whose files match its manifest, and all of which this key (PEM) signed.

    Raises:
        IntegrityError: tampered, extra or missing file, a pickle, no signature or a foreign one.
    """
    from models import signing  # noqa: PLC0415 - half a second and 40 MiB, for whoever signs or verifies

    files = contents(folder)
    signing.verify(_unsigned(files), files.get(SIGNATURE, b""), public)
    return hashlib.sha256(files[MANIFEST]).hexdigest()


def install(source: Path, target_root: Path, signing_key: bytes) -> Path:
    """Copy a bundle to `target_root/<name>/<digest>/`, signed, and return that folder.

    It appears whole or not at all: written beside, synced, renamed. Installing it again changes nothing.

    Raises:
        IntegrityError: the source, or what is already installed under its digest, is not what it should be.
    """
    files = contents(source)
    home = target_root / _name(files) / hashlib.sha256(files[MANIFEST]).hexdigest()
    if not home.exists():
        _place(files, home, signing_key)
    verify(home, public_key(signing_key))
    return home


def sign_again(root: Path, former_key: bytes, signing_key: bytes) -> tuple[Path, ...]:
    """Sign what an earlier radloop signed, once its signature was held against it. Can be cut and repeated.

    Args:
        root: the folder of the installed bundles.
        former_key: 32 bytes, the Ed25519 private key (RFC 8032) that signed manifests.
        signing_key: the site's private key, PEM.

    Returns:
        the bundles that stay as they are, since this key did not sign them.
    """
    return tuple(
        found.parent
        for found in sorted(root.glob(f"*/*/{FORMER_SIGNATURE}"))
        if not _signed_again(found.parent, former_key, signing_key)
    )


def _signed_again(home: Path, former_key: bytes, signing_key: bytes) -> bool:
    try:
        files = dict(_read(home))
        former = files.pop(FORMER_SIGNATURE)
        Ed25519PrivateKey.from_private_bytes(former_key).public_key().verify(former, _checked(files)[MANIFEST])
    except (InvalidSignature, IntegrityError):
        return False
    _write(home / SIGNATURE, _signature(files, signing_key))
    (home / FORMER_SIGNATURE).unlink()
    _sync(home)
    return True


def _place(files: Mapping[str, bytes], home: Path, signing_key: bytes) -> None:
    draft = home.with_name(f".{home.name}.{secrets.token_hex(4)}")
    try:
        for path, data in files.items():
            if path != SIGNATURE:
                _write(draft / path, data)
        sign(draft, signing_key)
        _rename(draft, home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _rename(draft: Path, home: Path) -> None:
    try:
        draft.rename(home)
    except OSError:
        if not home.exists():  # another process was first: then its copy is verified by the caller
            raise
    _sync(home.parent)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checked(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    listed = _listed(files)
    present = {path: data for path, data in files.items() if path not in (MANIFEST, SIGNATURE)}
    if listed.keys() != present.keys():
        raise IntegrityError("the bundle does not hold the files that its manifest lists")
    for path, data in present.items():
        if hashlib.sha256(data).hexdigest() != listed[path]:
            raise IntegrityError("a file of the bundle does not match its manifest")
    return MappingProxyType(files)


def _signature(files: Mapping[str, bytes], signing_key: bytes) -> bytes:
    from models import signing  # noqa: PLC0415 - as in `verify`

    return signing.sign(_unsigned(files), _name(files), SIGNATURE, signing_key)


def _unsigned(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return {path: data for path, data in files.items() if path != SIGNATURE}


def _read(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise IntegrityError("the bundle holds a link")
        if path.is_dir():
            continue
        if path.suffix not in SUFFIXES and path not in (folder / SIGNATURE, folder / FORMER_SIGNATURE):
            raise IntegrityError("the bundle holds a file that is not safetensors, JSON or Markdown")
        if path.stat().st_size > LARGEST_FILE:
            raise IntegrityError("the bundle holds a file larger than 64 MiB")
        yield path.relative_to(folder).as_posix(), path.read_bytes()


def _listed(files: Mapping[str, bytes]) -> Mapping[str, str]:
    try:
        return cast("Mapping[str, str]", dict(json.loads(files[MANIFEST])["files"]))
    except (KeyError, ValueError, TypeError) as error:
        raise IntegrityError("the bundle has no readable manifest") from error


def _name(files: Mapping[str, bytes]) -> str:
    """The model's name from its card: letters, digits and underscores, since it becomes a folder."""
    try:
        name = str(json.loads(files[CARD])["name"])
    except (KeyError, ValueError, TypeError) as error:
        raise IntegrityError("the bundle has no readable card") from error
    if not name.isidentifier() or not name.isascii():
        raise IntegrityError("the bundle's card has no plain name")
    return name
