"""Signing keys of tests: always the same."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def signing_key(number: int) -> bytes:
    """A private key on P-256, as `radloop.store.keyring.new_signing_key` makes them."""
    key = ec.derive_private_key(number, ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


SITE: Final = signing_key(1_000_003)
STRANGER: Final = signing_key(1_000_033)
