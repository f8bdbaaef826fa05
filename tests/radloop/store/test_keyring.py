import stat
from pathlib import Path

import pytest

from radloop.domain.errors import IntegrityError, NotFound, Permanent, SettingsError
from radloop.store import Keyring


def test_keys_are_made_private(tmp_path: Path) -> None:
    Keyring.create(tmp_path / "keys")
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
    assert names == {"kek-0001.key": 0o600, "audit.key": 0o600, "signing.key": 0o600}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_create_keeps_the_keys_that_are_there(tmp_path: Path) -> None:
    first = Keyring.create(tmp_path / "keys")
    first.rotate()
    before = {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    Keyring.create(tmp_path / "keys")
    assert {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == before


@pytest.mark.parametrize("name", ["", "kek-0001.key", "audit.key", "signing.key"])
def test_a_key_that_others_may_read_is_refused_with_its_path_and_mode(tmp_path: Path, name: str) -> None:
    Keyring.create(tmp_path / "keys")
    path = tmp_path / "keys" / name
    path.chmod(path.stat().st_mode | 0o040)
    with pytest.raises(SettingsError, match=f"{path}.*expected mode"):
        Keyring.load(tmp_path / "keys")


@pytest.mark.parametrize("name", ["kek-0001.key", "audit.key", "signing.key"])
def test_a_missing_or_cut_key_is_refused(tmp_path: Path, name: str) -> None:
    Keyring.create(tmp_path / "keys")
    (tmp_path / "keys" / name).write_bytes(b"short")
    with pytest.raises(SettingsError, match="expected 32 bytes"):
        Keyring.load(tmp_path / "keys")
    (tmp_path / "keys" / name).unlink()
    with pytest.raises(SettingsError, match="expected"):
        Keyring.load(tmp_path / "keys")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="radloop init"):
        Keyring.load(tmp_path / "keys")


def test_a_running_process_sees_a_rotation_made_elsewhere(tmp_path: Path) -> None:
    running = Keyring.create(tmp_path / "keys")
    Keyring.load(tmp_path / "keys").rotate()
    assert running.kek(2).version == 2
    assert running.current.version == 2


def test_retiring_destroys_an_old_version_and_never_the_current_one(tmp_path: Path) -> None:
    keyring = Keyring.create(tmp_path / "keys")
    with pytest.raises(Permanent):
        keyring.retire(1)
    keyring.rotate()
    keyring.retire(1)
    assert keyring.versions == (2,)
    with pytest.raises(NotFound):
        keyring.retire(1)
    with pytest.raises(IntegrityError):
        keyring.kek(1)


def test_the_version_after_a_retired_one_is_new(tmp_path: Path) -> None:
    keyring = Keyring.create(tmp_path / "keys")
    keyring.rotate()
    keyring.retire(1)
    assert keyring.rotate().version == 3


def test_keys_never_show_their_bytes(tmp_path: Path) -> None:
    keyring = Keyring.create(tmp_path / "keys")
    assert repr(keyring.current) == "Kek(version=1)"
    assert len({keyring.audit_key, keyring.signing_key}) == 2


def test_a_key_folder_that_went_away_takes_no_key_from_a_running_process(tmp_path: Path) -> None:
    keyring = Keyring.create(tmp_path / "keys")
    (tmp_path / "keys").rename(tmp_path / "elsewhere")
    assert keyring.current.version == 1
