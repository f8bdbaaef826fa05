import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from radloop.domain.errors import IntegrityError, NotFound, Permanent, SettingsError
from radloop.store import Keyring


def test_keys_are_made_private(tmp_path: Path) -> None:
    Keyring.create(tmp_path / "keys")
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
    assert names == {"kek-0001.key": 0o600, "audit.key": 0o600, "site.key": 0o600}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_create_keeps_the_keys_that_are_there(tmp_path: Path) -> None:
    first = Keyring.create(tmp_path / "keys")
    first.rotate()
    before = {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    Keyring.create(tmp_path / "keys")
    assert {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == before


@pytest.mark.parametrize("name", ["", "kek-0001.key", "audit.key", "site.key"])
def test_a_key_that_others_may_read_is_refused_with_its_path_and_mode(tmp_path: Path, name: str) -> None:
    Keyring.create(tmp_path / "keys")
    path = tmp_path / "keys" / name
    path.chmod(path.stat().st_mode | 0o040)
    with pytest.raises(SettingsError, match=f"{path}.*expected mode"):
        Keyring.load(tmp_path / "keys")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("kek-0001.key", "expected 32 bytes"), ("audit.key", "expected 32 bytes"), ("site.key", "expected the PEM")],
)
def test_a_missing_or_cut_key_is_refused(tmp_path: Path, name: str, wanted: str) -> None:
    Keyring.create(tmp_path / "keys")
    (tmp_path / "keys" / name).write_bytes(b"short")
    with pytest.raises(SettingsError, match=wanted):
        Keyring.load(tmp_path / "keys")
    (tmp_path / "keys" / name).unlink()
    with pytest.raises(SettingsError, match="expected"):
        Keyring.load(tmp_path / "keys")


def pem(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey, password: bytes = b"") -> bytes:
    locked = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)


@pytest.mark.parametrize(
    "key",
    [
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(ec.generate_private_key(ec.SECP256K1())),
        pem(Ed25519PrivateKey.generate()),
        pem(ec.generate_private_key(ec.SECP256R1()), b"secret"),
    ],
    ids=["P-384", "another curve of 256 bits", "Ed25519", "locked"],
)
def test_a_signing_key_of_another_kind_is_refused(tmp_path: Path, key: bytes) -> None:
    Keyring.create(tmp_path / "keys")
    (tmp_path / "keys" / "site.key").write_bytes(key)
    with pytest.raises(SettingsError, match="on P-256"):
        Keyring.load(tmp_path / "keys")


def test_the_key_of_an_earlier_radloop_is_read_and_forgotten(tmp_path: Path) -> None:
    keyring = Keyring.create(tmp_path / "keys")
    assert keyring.former_signing_key is None
    (tmp_path / "keys" / "signing.key").touch(0o600)
    (tmp_path / "keys" / "signing.key").write_bytes(bytes(range(32)))
    assert keyring.former_signing_key == bytes(range(32))
    keyring.forget_former()
    keyring.forget_former()
    assert keyring.former_signing_key is None


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
