"""Signs files with model-signing (OpenSSF): a Sigstore bundle around an in-toto statement of their SHA-256. Offline.

What is signed and verified are bytes in memory, the very ones that the caller goes on with: nobody can swap a file
between the check and its use. On disk the same signature holds for the tool itself: `model_signing verify key FOLDER`.
Importing this takes half a second and 40 MiB, so whoever does neither sign nor verify leaves it.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from model_signing import hashing, signing, verifying
from model_signing._hashing.hashing import Digest  # the one private name: an item of a manifest holds one
from model_signing.manifest import FileManifestItem, Manifest, SerializationType

from radloop.domain.errors import IntegrityError

Files = Mapping[str, bytes]
"""Relative path, `/` between its parts, to content."""
MALFORMED: Final = (ValueError, TypeError, AttributeError, LookupError, RecursionError, InvalidSignature)
"""What model-signing lets out of its parser, besides its own ValueError, where a signature is no signature."""


def sign(files: Files, name: str, signature_name: str, signing_key: bytes) -> bytes:
    """The signature over all of the files, as it is to lie beside them under `signature_name`.

    Args:
        files: everything that lies there, without the signature.
        name: what the statement calls the whole; informative.
        signature_name: relative path of the signature, which the statement leaves out.
        signing_key: PEM of a P-256 private key.

    Raises:
        IntegrityError: the key is no key.
    """
    with _in_memory(signing_key) as key, _in_memory() as signature:
        with _keys_only("the signing key is not a P-256 key"):
            config = signing.Config().use_elliptic_key_signer(private_key=key)
        config.set_hashing_config(_Hashed(files, signature_name)).sign(Path(name), signature)
        return signature.read_bytes()


def verify(files: Files, signature: bytes, public: bytes) -> None:
    """Hold files against a signature: all of them, and no other, must be in what this key signed.

    Args:
        files: everything that lies there, without the signature.
        signature: as `sign` made it, or the tool's own command line.
        public: PEM of the public key.

    Raises:
        IntegrityError: this key did not sign these files, there is no signature, or the key is no key.
    """
    if not signature:
        raise IntegrityError("there is no signature")
    with _in_memory(public) as key, _in_memory(signature) as path:
        with _keys_only("the public key is not a P-256 key"):
            config = verifying.Config().use_elliptic_key_verifier(public_key=key)
        try:
            config.set_hashing_config(_Hashed(files)).verify(Path(), path)
        except MALFORMED as error:
            raise IntegrityError("it is not signed by this site's key") from error


class _Hashed(hashing.Config):
    """Stands where model-signing would walk a folder. It leaves nothing out, whatever a signed statement says."""

    def __init__(self, files: Files, signature_name: str = "") -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # it carries no annotation
        self._files = files
        self._left_out = [signature_name] if signature_name else []

    def hash(
        self, model_path: hashing.PathLike, *, files_to_hash: Iterable[hashing.PathLike] | None = None
    ) -> Manifest:
        """The SHA-256 of each file."""
        del files_to_hash
        kind = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": self._left_out}
        items = [
            FileManifestItem(path=PurePosixPath(path), digest=Digest("sha256", hashlib.sha256(data).digest()))
            for path, data in self._files.items()
        ]
        return Manifest(Path(os.fsdecode(model_path)).name, items, SerializationType.from_args(kind))


@contextmanager
def _keys_only(why: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, AttributeError, UnsupportedAlgorithm) as error:
        raise IntegrityError(why) from error


@contextmanager
def _in_memory(data: bytes = b"") -> Iterator[Path]:
    """A path to bytes that lie on no disk (memfd_create(2)): model-signing takes keys and signatures by path alone."""
    with os.fdopen(os.memfd_create("signing"), "wb") as file:
        file.write(data)
        file.flush()
        yield Path(f"/proc/self/fd/{file.fileno()}")
