"""Deleting destroys the wrapped key first: what is found of the bytes afterwards cannot be opened, keys or no keys."""

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from radloop.domain.errors import IntegrityError, NotFound, SettingsError, StorageFull, Unavailable
from radloop.store import Keyring, LocalStore, envelope, keycopy

DELETER = """
import sys
from pathlib import Path
from radloop.store import Keyring, LocalStore
home = Path(sys.argv[1])
LocalStore(home / "store", Keyring.load(home / "keys")).delete(sys.argv[2])
"""
needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="needs strace (Debian package strace)")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def path_of(root: Path, key: str) -> Path:
    return root / "objects" / key[:2] / key


def delete_under(root: Path, key: str, *options: str) -> int:
    argv = ["strace", "-f", "-y", *options, sys.executable, "-c", DELETER, str(root.parent), key]
    return subprocess.run(argv, timeout=60, check=False).returncode


def test_blocks_that_outlive_a_delete_hold_no_key(store: LocalStore, keyring: Keyring, root: Path) -> None:
    key = store.put(b"a patient's image" * 100).key
    found = root / "found-on-the-disk"
    os.link(path_of(root, key), found)
    wrapped = envelope.parse_header(found.read_bytes()).wrapped_key
    store.delete(key)
    left = found.read_bytes()
    assert wrapped not in left
    with pytest.raises(NotFound):
        envelope.open_sealed(left, key, keyring.current)


@needs_strace
def test_the_key_is_gone_for_good_before_the_name_is(store: LocalStore, root: Path, tmp_path: Path) -> None:
    key, trace = store.put(b"x" * 5000).key, tmp_path / "trace"
    assert delete_under(root, key, "-e", "trace=pwrite64,fsync,unlink", "-o", str(trace)) == 0
    lines = [line for line in trace.read_text().splitlines() if key in line or f"/objects/{key[:2]}>" in line]
    assert [line.split("(")[0].split()[-1] for line in lines] == ["pwrite64", "fsync", "unlink", "fsync"]
    assert "SHREDDED" in lines[0]


@needs_strace
def test_killed_between_key_and_name_nobody_reads_it_and_the_next_delete_ends_it(
    store: LocalStore, keyring: Keyring, root: Path
) -> None:
    key, other = store.put(b"x" * 5000).key, store.put(b"kept").key
    assert delete_under(root, key, "-e", "inject=unlink:signal=KILL", "-e", "trace=unlink", "-o", "/dev/null") != 0
    assert path_of(root, key).exists()
    with pytest.raises(NotFound):
        store.get(key)
    keyring.rotate()
    assert (store.rewrap_all().broken, store.rewrap_all().seen) == (0, 2)
    store.retire(1)
    store.delete(key)
    assert list(store.keys()) == [other]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_that_copies_on_write_still_deletes(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    key = store.put(b"x").key
    monkeypatch.setattr(os, "pwrite", refuse)
    store.delete(key)
    assert list(store.keys()) == []


def test_a_disk_that_fails_keeps_the_object_due(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "I/O error")

    key = store.put(b"x").key
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        with pytest.raises(StorageFull):
            store.delete(key)
    assert store.get(key) == b"x"


def test_once_the_old_key_is_destroyed_no_stale_copy_of_the_store_opens(
    store: LocalStore, keyring: Keyring, root: Path
) -> None:
    gone, kept = store.put(b"gone").key, store.put(b"kept").key
    stale = {key: path_of(root, key).read_bytes() for key in (gone, kept)}
    store.delete(gone)
    assert envelope.open_sealed(stale[gone], gone, keyring.kek(1)) == b"gone"
    keyring.rotate()
    store.rewrap_all()
    store.retire(1)
    assert store.get(kept) == b"kept"
    for version in keyring.versions:
        for key, sealed in stale.items():
            with pytest.raises(IntegrityError):
                envelope.open_sealed(sealed, key, keyring.kek(version))


def test_an_object_is_copied_sealed_and_taken_in_again(store: LocalStore, keyring: Keyring, tmp_path: Path) -> None:
    data = os.urandom(2_500_000)
    key = store.put(data).key
    with store.sealed(key) as sealed:
        copy = b"".join(sealed.pieces)
    assert (sealed.stamp, sealed.kek_version) == (store.stamp(key), 1)
    assert sealed.stamp.size == len(copy)
    other = LocalStore(tmp_path / "other", keyring)
    other.adopt(key, iter([copy]))
    assert other.get(key) == data
    assert other.check(key) == len(data)
    keyring.rotate()
    store.rewrap_all()
    assert store.stamp(key) != sealed.stamp
    for call in (store.stamp, store.check):
        with pytest.raises(NotFound):
            call("0" * 32)


def test_a_delete_waits_for_a_copy_that_is_being_made(store: LocalStore) -> None:
    key = store.put(b"x" * 3_000_000).key
    deleting = threading.Thread(target=store.delete, args=(key,))
    with store.sealed(key) as sealed:
        deleting.start()
        deleting.join(0.2)
        assert deleting.is_alive()
        copy = b"".join(sealed.pieces)
    deleting.join(10)
    assert b"SHREDDED" not in copy
    assert list(store.keys()) == []


def test_a_copy_of_the_keys_is_the_owners_alone_and_follows_the_original(tmp_path: Path, keyring: Keyring) -> None:
    here, there = tmp_path / "keys", tmp_path / "far" / "keys"
    keycopy.copy_keys(here, there)
    keyring.rotate()
    keycopy.copy_keys(here, there)
    assert Keyring.load(there).versions == (1, 2)
    assert {path.stat().st_mode & 0o777 for path in there.iterdir()} == {0o600}
    keyring.retire(1)
    assert keycopy.drop_retired(here, there) == ("kek-0001.key",)
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {
        path.name: path.read_bytes() for path in here.iterdir()
    }
    there.chmod(0o755)
    with pytest.raises(SettingsError, match="0700"):
        keycopy.copy_keys(here, there)


def test_no_key_is_destroyed_while_a_backup_needs_it(tmp_path: Path, keyring: Keyring) -> None:
    assert keyring.versions == (1,)
    folder = tmp_path / "keys"
    two = (keycopy.none_retired(folder), keycopy.none_retired(folder))
    with two[0], two[1], pytest.raises(Unavailable), keycopy.alone(folder):
        pass
    with keycopy.alone(folder), pytest.raises(Unavailable), keycopy.none_retired(folder):
        pass
