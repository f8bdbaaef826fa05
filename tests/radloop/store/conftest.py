from pathlib import Path

import pytest

from radloop.store import Keyring, LocalStore


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.create(tmp_path / "keys")


@pytest.fixture
def store(tmp_path: Path, keyring: Keyring) -> LocalStore:
    return LocalStore(tmp_path / "store", keyring)
