import errno
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from radloop.domain.errors import IntegrityError, NotFound, Permanent, StorageFull
from radloop.domain.ports import BlobStore
from radloop.store import Keyring, LocalStore

WRITER = """
import sys
from pathlib import Path
from radloop.store import Keyring, LocalStore
home = Path(sys.argv[1])
store = LocalStore(home / "store", Keyring.load(home / "keys"))
print("ready", flush=True)
for line in sys.stdin:
    print(store.put(b"x" * int(line)).key, flush=True)
"""
needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="needs strace (Debian package strace)")


def files_under(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def path_of(root: Path, key: str) -> Path:
    return next(path for path in files_under(root) if path.name == key)


def contents(store: LocalStore) -> dict[str, bytes]:
    return {key: store.get(key) for key in list(store.keys())}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_what_is_put_comes_back_with_its_digest_and_size(store: LocalStore) -> None:
    face: BlobStore = store
    data = os.urandom(3_000_000)
    blob = face.put(data)
    assert (blob.sha256, blob.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert face.get(blob.key) == data
    assert list(face.keys()) == [blob.key]


def test_parts_come_back_joined(store: LocalStore) -> None:
    parts = [b"preamble", bytearray(b"meta"), memoryview(os.urandom(1 << 20)), b""]
    blob = store.put_parts(parts)
    assert store.get(blob.key) == b"".join(parts)
    assert (blob.sha256, blob.size) == (None, sum(map(len, parts)))


def test_no_plain_byte_is_at_rest(store: LocalStore, root: Path) -> None:
    store.put(b"a token that no disk may hold" * 100)
    assert not any(b"a token" in path.read_bytes() for path in files_under(root))


@pytest.mark.parametrize(
    "key", ["", "..", "../keys/audit.key", "/etc/passwd", "0" * 31, "0" * 33, "g" * 32, "0" * 32 + "\n"]
)
def test_a_key_that_is_not_ours_finds_nothing_and_removes_nothing(store: LocalStore, key: str) -> None:
    with pytest.raises(NotFound):
        store.get(key)
    store.delete(key)


def test_a_deleted_object_is_gone_and_may_be_deleted_again(store: LocalStore) -> None:
    key = store.put(b"one").key
    store.delete(key)
    store.delete(key)
    with pytest.raises(NotFound):
        store.get(key)


@pytest.mark.parametrize("size", [0, 1, 50, 88, 100, -1])
def test_a_cut_file_is_found(store: LocalStore, root: Path, size: int) -> None:
    key = store.put(b"x" * 500).key
    path = path_of(root, key)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(IntegrityError):
        store.get(key)


def test_two_objects_swapped_on_disk_are_found(store: LocalStore, root: Path) -> None:
    one, two = (path_of(root, store.put(data).key) for data in (b"one", b"two"))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    for path in (one, two):
        with pytest.raises(IntegrityError):
            store.get(path.name)


def refuse(number: int) -> Callable[..., object]:
    def call(*_: object) -> object:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("call", ["write", "fsync", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_full_or_failing_disk_is_storage_full_and_leaves_nothing(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse(number))
        with pytest.raises(StorageFull):
            store.put(b"one")
    assert files_under(root) == []
    assert store.get(store.put(b"again").key) == b"again"


def test_an_object_whose_folder_cannot_be_synced_is_taken_back(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    calls: list[int] = []

    def second_fails(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 2:
            raise OSError(errno.EIO, "I/O error")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", second_fails)
    with pytest.raises(StorageFull):
        store.put(b"one")
    assert files_under(root) == []


def test_sixteen_threads_write_what_they_meant_to(store: LocalStore) -> None:
    written: dict[str, bytes] = {}

    def write(number: int) -> None:
        for size in (10, 700_000):
            data = bytes([number]) * size
            written[store.put(data).key] = data

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents(store) == written


def writer(home: Path, *wrapper: str) -> subprocess.Popen[str]:
    command = [*wrapper, sys.executable, "-c", WRITER, str(home)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@needs_strace
def test_a_write_is_synced_renamed_and_its_folder_synced_in_that_order(tmp_path: Path, keyring: Keyring) -> None:
    trace = tmp_path / "trace"
    options = ("-f", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2,write", "-o", str(trace))
    with writer(tmp_path, "strace", *options) as process:
        key, _ = process.communicate("600000\n", timeout=60)
    key = key.split()[-1]
    lines = [line for line in trace.read_text().splitlines() if "/store/" in line or key in line]
    order = [line.split("(")[0].split()[-1] for line in lines[-5:]]
    assert order[-4:] == ["fsync", "rename", "fsync", "write"]
    assert "/tmp/" in lines[-4]
    assert f"/objects/{key[:2]}>" in lines[-2]
    assert key in lines[-1]


@needs_strace
def test_a_writer_killed_before_its_rename_leaves_a_temporary_that_the_sweep_removes(
    tmp_path: Path, store: LocalStore, root: Path
) -> None:
    options = ("-f", "-e", "trace=rename", "-e", "inject=rename:signal=KILL", "-o", "/dev/null")
    with writer(tmp_path, "strace", *options) as process:
        process.communicate("600000\n", timeout=60)
    assert list(store.keys()) == []
    assert len(files_under(root)) == 1
    assert store.sweep_temporaries(older_than=3600) == 0
    assert store.sweep_temporaries(older_than=0) == 1
    assert files_under(root) == []


def test_a_living_writers_temporary_is_never_swept_however_old_the_clock_says_it_is(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = []
    rename = Path.rename

    def sweep_then_rename(self: Path, target: Path) -> Path:
        swept.append(store.sweep_temporaries(older_than=-86400))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", sweep_then_rename)
    assert store.get(store.put(b"one").key) == b"one"
    assert swept == [0]


def test_after_a_rotation_and_rewrap_the_old_key_can_be_destroyed(store: LocalStore, keyring: Keyring) -> None:
    data = {store.put(os.urandom(size)).key: size for size in (0, 10, 3_000_000)}
    plain = {key: store.get(key) for key in data}
    keyring.rotate()
    with pytest.raises(Permanent, match="still in use"):
        store.retire(1)
    seen = []
    assert store.rewrap_all(seen.append) == seen[-1]
    assert (seen[-1].seen, seen[-1].rewrapped, seen[-1].broken) == (3, 3, 0)
    store.retire(1)
    assert contents(store) == plain
    assert store.rewrap_all().rewrapped == 0


def test_a_rewrap_that_was_killed_goes_on_and_loses_nothing(store: LocalStore, keyring: Keyring) -> None:
    keys = [store.put(b"x" * 1000).key for _ in range(6)]
    keyring.rotate()

    class Killed(BaseException):
        pass

    def stop(progress: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        store.rewrap_all(stop)
    assert all(store.get(key) == b"x" * 1000 for key in keys)
    assert store.rewrap_all().rewrapped == 5


def test_a_rewrap_never_brings_back_what_is_deleted_beside_it(store: LocalStore, keyring: Keyring) -> None:
    keys = [store.put(b"x" * 1000).key for _ in range(60)]
    keyring.rotate()
    rewrapping = threading.Thread(target=store.rewrap_all)
    rewrapping.start()
    for key in keys:
        store.delete(key)
    rewrapping.join()
    assert list(store.keys()) == []


def test_a_broken_object_is_counted_and_does_not_stop_a_rewrap(store: LocalStore, keyring: Keyring, root: Path) -> None:
    broken, whole = store.put(b"broken").key, store.put(b"whole").key
    path = path_of(root, broken)
    path.write_bytes(path.read_bytes()[:60])
    keyring.rotate()
    assert (store.rewrap_all().rewrapped, store.rewrap_all().broken) == (1, 1)
    assert store.get(whole) == b"whole"


def test_another_process_seals_under_the_rotated_key(tmp_path: Path, store: LocalStore, keyring: Keyring) -> None:
    with writer(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        keyring.rotate()
        key, _ = process.communicate("10\n", timeout=60)
    store.rewrap_all()
    store.retire(1)
    assert store.get(key.strip()) == b"x" * 10
