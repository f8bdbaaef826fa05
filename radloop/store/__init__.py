"""Bytes at rest: encrypted with AES-256-GCM, durable when written, found by keys of our own."""

from radloop.store.keyring import Kek, Keyring
from radloop.store.local import LocalStore

__all__ = ["Kek", "Keyring", "LocalStore"]
