"""Backup and restore: whole or not at all, keys apart, killed anywhere, beside a radloop that goes on working."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from flows import backup, backup_ledger, cohorts, retain
from flows.backup import back_up
from flows.backup_format import current_set, listed
from flows.backup_restore import detached, rehearse, restore
from flows.forgetting import no_deletions
from flows.house import House, open_house
from radloop.audit import Sealer, verify
from radloop.domain.errors import IntegrityError, NotFound, Rejected, SettingsError, StorageFull, Unavailable
from radloop.ledger import Ledger, instances
from radloop.ledger.tables import audit_events
from radloop.settings import load_settings
from radloop.store import Keyring, LocalStore, keycopy
from tests.flows import place
from tests.flows.readings import introduce
from tests.flows.runners import ROOT
from tests.flows.test_retain import POLICY, copy_of, signed


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[House]:
    opened = made_home(tmp_path / "hospital")
    yield opened
    opened.ledger.close()


def made_home(home: Path, **options: str) -> House:
    """A home with three studies, a bundle and a sealed audit."""
    more = POLICY.format(pictures=30, reports=60, audits="false")
    opened = place.make_home(home, more=more, **options)
    introduce(opened.ledger)
    for days, seed in ((1, 1), (40, 2), (90, 3)):
        signed(opened, days, seed)
    bundle = opened.settings.models_path / "m" / "1"
    bundle.mkdir(parents=True)
    (bundle / "weights.safetensors").write_bytes(os.urandom(3000))
    sealer = Sealer(opened.ledger, Keyring.load(opened.settings.keys_path).audit_key, opened.settings.audit_anchor)
    sealer.begin()
    sealer.seal()
    return opened


def contents(house: House) -> dict[str, bytes]:
    return {key: house.store.get(key) for key in list(house.store.keys())}


def at(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "backup", tmp_path / "far" / "keys"


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_comes_back_is_what_was_there(hospital: House, tmp_path: Path) -> None:
    folder, keys = at(tmp_path)
    done = back_up(hospital, folder, keys, "ann")
    assert (done.copied, done.manifest.missing, done.keys) == (len(contents(hospital)), (), True)
    found = restore(folder, keys, tmp_path / "new", "root")
    again = open_house(load_settings(tmp_path / "new"))
    assert contents(again) == contents(hospital)
    assert files_of(again.settings.models_path) == files_of(hospital.settings.models_path)
    assert (found.studies, found.images, found.answers, found.moved) == (3, 3, 3, ())
    assert found.audit.sealed > 0
    with again.ledger.read() as conn:
        assert conn.scalars(select(audit_events.c.action).order_by(audit_events.c.at.desc())).first() == "restore"
        assert instances.count(conn) == 3
    key, anchor = Keyring.load(again.settings.keys_path).audit_key, again.settings.audit_anchor
    while Sealer(again.ledger, key, anchor).seal():
        pass
    assert verify(again.ledger, key, anchor).sound
    again.ledger.close()


def test_nothing_of_a_patient_and_no_key_is_in_the_backup_and_only_its_owner_reads_it(
    hospital: House, tmp_path: Path
) -> None:
    folder, keys = at(tmp_path)
    back_up(hospital, folder, keys, "ann")
    with hospital.ledger.read() as conn:
        header = instances.of_version(conn, conn.scalars(select(instances.instances.c.version_id)).first())[0].header
    secrets = [path.read_bytes() for path in hospital.settings.keys_path.iterdir()]
    plain = [header.study_uid.encode(), header.patient_id.encode(), b"SQLite format 3", *secrets]
    for name, data in files_of(folder).items():
        assert not [one for one in plain if one and one in data], name
    assert {path.stat().st_mode & 0o077 for path in (*folder.rglob("*"), *keys.rglob("*"))} == {0}
    assert not list((hospital.settings.home / "run").glob("backup-*"))


def test_the_keys_lie_apart_or_nothing_is_made(hospital: House, tmp_path: Path) -> None:
    folder, home = tmp_path / "backup", hospital.settings.home
    for target, keys in (
        (folder, folder),
        (folder, folder / "keys"),
        (folder / "data", folder),
        (home / "backup", tmp_path / "keys"),
        (folder, home / "more"),
        (hospital.settings.keys_path, None),
        (tmp_path, None),
    ):
        with pytest.raises(SettingsError):
            back_up(hospital, target, keys, "ann")
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(SettingsError):
        back_up(hospital, folder, tmp_path / "link" / "keys", "ann")
    assert not folder.exists()


def test_the_next_backup_copies_what_is_new_and_drops_what_is_gone(hospital: House, tmp_path: Path) -> None:
    folder, keys = at(tmp_path)
    first = back_up(hospital, folder, keys, "ann")
    assert back_up(hospital, folder, keys, "ann").copied == 0
    retain.preview(hospital, "ann")
    gone = retain.retain(hospital, "ann").gone.objects
    place.arrive(hospital, place.chest_study(9))
    second = back_up(hospital, folder, keys, "ann")
    assert (second.copied, second.manifest.blobs) == (1, first.manifest.blobs - gone + 1)
    assert len([path for path in (folder / "pool").rglob("*") if path.is_file()]) == second.manifest.blobs
    assert len(list((folder / "sets").iterdir())) == 1
    assert rehearse(folder, keys, "root", within=tmp_path).blobs == second.manifest.blobs
    assert not list(tmp_path.glob("radloop-restore-*"))


def test_retention_waits_for_a_backup(hospital: House) -> None:
    retain.preview(hospital, "ann")
    with no_deletions(hospital.settings.home), pytest.raises(Unavailable, match="backup"):
        retain.retain(hospital, "ann")
    assert retain.retain(hospital, "ann").gone.objects


def test_a_rotated_key_is_followed_and_a_destroyed_one_is_destroyed_in_the_copy_too(
    hospital: House, tmp_path: Path
) -> None:
    folder, keys = at(tmp_path)
    back_up(hospital, folder, keys, "ann")
    keyring = Keyring.load(hospital.settings.keys_path)
    store = LocalStore(hospital.settings.store_path, keyring)
    keyring.rotate()
    store.rewrap_all()
    store.retire(1)
    assert back_up(hospital, folder, keys, "ann").copied == len(contents(hospital))
    assert Keyring.load(keys).versions == (2,)
    rehearse(folder, keys, "root", within=tmp_path)


@pytest.mark.parametrize("where", ["4", "ledger", "sign", "current", "tidy"])
def test_killed_anywhere_there_is_a_whole_backup_and_the_next_one_goes_on(
    hospital: House, tmp_path: Path, where: str
) -> None:
    folder, keys = at(tmp_path)
    first = back_up(hospital, folder, keys, "ann").manifest.id
    place.arrive(hospital, *(place.chest_study(seed) for seed in range(20, 26)))
    argv = [
        sys.executable,
        "-m",
        "tests.flows.drive_backup",
        str(hospital.settings.home),
        str(folder),
        str(keys),
        where,
    ]
    assert subprocess.run(argv, cwd=ROOT, timeout=60, check=False).returncode == -9
    found = rehearse(folder, keys, "root", within=tmp_path)
    assert (found.manifest.id == first) is (where not in ("tidy", "note"))
    last = back_up(hospital, folder, keys, "ann")
    # What the killed one copied is not copied again.
    assert last.copied == (6 - int(where) if where.isdigit() else 0)
    assert rehearse(folder, keys, "root", within=tmp_path).images == 9
    assert len([path for path in (folder / "pool").rglob("*") if path.is_file()]) == last.manifest.blobs
    assert not list((hospital.settings.home / "run").glob("backup-*"))


def test_beside_arrivals_and_deletions_every_object_that_the_copied_ledger_names_is_in_it(
    hospital: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "WAIT_SECONDS", 0.05)
    folder, keys = at(tmp_path)
    retain.preview(hospital, "ann")
    over = threading.Event()

    def work() -> None:
        seed = 100
        while not over.is_set():
            signed(hospital, 99, seed)
            with suppress(Unavailable):  # deletions wait for the backup
                retain.retain(hospital, "ann")
            place.arrive(hospital, place.chest_study(seed + 1))
            seed += 2

    working = threading.Thread(target=work)
    working.start()
    try:
        for _ in range(4):
            back_up(hospital, folder, keys, "ann")
            assert rehearse(folder, keys, "root", within=tmp_path).manifest.missing == ()
    finally:
        over.set()
        working.join(30)


def test_what_is_deleted_between_ledger_and_objects_has_the_ledger_copied_again(
    hospital: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "WAIT_SECONDS", 0.0)
    folder, keys = at(tmp_path)
    patient, taken = copy_of(hospital, "P9"), []

    def take_then_delete(ledger: Ledger, desk: Path) -> backup_ledger.Snapshot:
        snapshot = backup_ledger.take(ledger, desk)
        if not taken:
            cohorts.withdraw(hospital, patient, "ann")
        taken.append(snapshot)
        return snapshot

    monkeypatch.setattr(backup, "take", take_then_delete)
    assert back_up(hospital, folder, keys, "ann").manifest.missing == ()
    assert len(taken) == 2
    rehearse(folder, keys, "root", within=tmp_path)


def test_an_object_that_the_store_lost_is_named_and_all_the_rest_is_kept(
    hospital: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "WAIT_SECONDS", 0.0)
    folder, keys = at(tmp_path)
    lost = min(hospital.store.keys())
    (hospital.settings.store_path / "objects" / lost[:2] / lost).unlink()
    done = back_up(hospital, folder, keys, "ann")
    assert done.manifest.missing == (lost,)
    assert rehearse(folder, keys, "root", within=tmp_path).manifest.missing == (lost,)


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "what",
    ["ledger.sealed", "blobs.tsv", "radloop.toml", "audit.anchor", "manifest.json", "models/m/1/weights.safetensors"],
)
def test_a_changed_file_is_found_and_nothing_is_restored(hospital: House, tmp_path: Path, what: str) -> None:
    folder, keys = at(tmp_path)
    back_up(hospital, folder, keys, "ann")
    place_of = current_set(folder)
    assert place_of is not None
    spoil(place_of / what)
    with pytest.raises(IntegrityError):
        restore(folder, keys, tmp_path / "new", "root")
    assert files_of(tmp_path / "new") == {}


@pytest.mark.parametrize("how", ["spoiled", "cut", "gone", "swapped"])
def test_a_changed_object_is_found_and_nothing_is_restored(hospital: House, tmp_path: Path, how: str) -> None:
    folder, keys = at(tmp_path)
    back_up(hospital, folder, keys, "ann")
    one, two = sorted(path for path in (folder / "pool").rglob("*") if path.is_file())[:2]
    if how == "spoiled":
        spoil(one)
    elif how == "cut":
        one.write_bytes(one.read_bytes()[:-1])
    elif how == "gone":
        one.unlink()
    else:
        shutil.copy(two, one)
    with pytest.raises(IntegrityError):
        restore(folder, keys, tmp_path / "new", "root")
    assert files_of(tmp_path / "new") == {}


def test_another_sites_keys_or_an_old_kek_open_nothing(hospital: House, tmp_path: Path) -> None:
    folder, keys = at(tmp_path)
    back_up(hospital, folder, keys, "ann")
    Keyring.create(tmp_path / "others")
    with pytest.raises(IntegrityError, match="not the keys of its site"):
        restore(folder, tmp_path / "others", tmp_path / "new", "root")
    shutil.copytree(keys, tmp_path / "mixed")
    shutil.copy(tmp_path / "others" / "kek-0001.key", tmp_path / "mixed" / "kek-0001.key")
    with pytest.raises(IntegrityError):
        restore(folder, tmp_path / "mixed", tmp_path / "new", "root")
    with pytest.raises(IntegrityError):
        back_up(made_home(tmp_path / "other-hospital"), folder, None, "ann")


def test_another_sites_keys_are_not_written_over(hospital: House, tmp_path: Path) -> None:
    folder, keys = at(tmp_path)
    Keyring.create(keys)
    before = files_of(keys)
    with pytest.raises(SettingsError, match="another site"):
        back_up(hospital, folder, keys, "ann")
    assert files_of(keys) == before
    assert not folder.exists()


def test_a_full_disk_leaves_the_backup_of_before(
    hospital: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, keys = at(tmp_path)
    first = back_up(hospital, folder, keys, "ann").manifest
    place.arrive(hospital, place.chest_study(50))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageFull):
            back_up(hospital, folder, keys, "ann")
    assert rehearse(folder, keys, "root", within=tmp_path).manifest == first


def test_a_home_that_is_not_empty_is_left_as_it_is(hospital: House, tmp_path: Path) -> None:
    folder, keys = at(tmp_path)
    with pytest.raises(NotFound):
        restore(folder, hospital.settings.keys_path, tmp_path / "new", "root")
    back_up(hospital, folder, keys, "ann")
    before = files_of(hospital.settings.home)
    with pytest.raises(Rejected, match="empty"):
        restore(folder, keys, hospital.settings.home, "root")
    assert files_of(hospital.settings.home) == before


KILLED_RESTORE = """
import os, signal, sys
from pathlib import Path
from flows import backup_restore
backup_restore.give = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
backup_restore.restore(*map(Path, sys.argv[1:4]), "root")
"""


def test_a_restore_that_was_killed_leaves_no_home_that_could_be_started(hospital: House, tmp_path: Path) -> None:
    folder, keys = at(tmp_path)
    back_up(hospital, folder, keys, "ann")
    argv = [sys.executable, "-c", KILLED_RESTORE, str(folder), str(keys), str(tmp_path / "new")]
    assert subprocess.run(argv, cwd=ROOT, timeout=60, check=False).returncode == -9
    with pytest.raises(SettingsError):
        load_settings(tmp_path / "new")
    with pytest.raises(Rejected, match="empty"):
        restore(folder, keys, tmp_path / "new", "root")


def test_one_backup_at_a_time_and_none_while_a_key_is_destroyed(hospital: House, tmp_path: Path) -> None:
    folder, keys = at(tmp_path)
    with keycopy.alone(hospital.settings.keys_path), pytest.raises(Unavailable):
        back_up(hospital, folder, keys, "ann")
    with backup._only_one(hospital.settings.home), pytest.raises(Unavailable, match="already"):
        back_up(hospital, folder, keys, "ann")


def test_settings_that_lead_to_the_home_of_before_are_set_aside() -> None:
    text = (
        '[ledger]\nurl = "sqlite:////srv/live.db"\nbusy_seconds = 2.0\n[store]\npath = "/srv/live"\n'
        '  keys = "/srv/keys"\n[peers.a]\nkeys = 1\n[training]\nfolder = "/srv/t"\n'
    )
    told, moved = detached(text, "")
    assert moved == ("ledger.url", "store.path", "store.keys", "training.folder")
    assert told.count("# set aside by radloop restore: ") == 4
    assert "busy_seconds = 2.0" in told.splitlines()
    assert "keys = 1" in told.splitlines()
    assert 'url = "postgresql://x/y"' in detached(text, "postgresql://x/y")[0].splitlines()
    assert detached("[site]\n", "postgresql://x/y")[0].endswith('[ledger]\nurl = "postgresql://x/y"\n')
    for hidden in ('store = { path = "/srv/live" }\n', 'store.path = "/srv/live"\n'):
        with pytest.raises(SettingsError, match=r"store\.path"):
            detached(hidden, "")


def test_a_variable_that_leads_to_the_home_of_before_is_refused(
    hospital: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, keys = at(tmp_path)
    back_up(hospital, folder, keys, "ann")
    monkeypatch.setenv("RADLOOP_STORE__PATH", str(hospital.settings.store_path))
    with pytest.raises(SettingsError, match="RADLOOP_"):
        restore(folder, keys, tmp_path / "new", "root")
    assert files_of(tmp_path / "new") == {}


def test_the_manifest_says_what_there_is_without_an_id_of_anybody(hospital: House, tmp_path: Path) -> None:
    folder, keys = at(tmp_path)
    done = back_up(hospital, folder, keys, "ann")
    place_of = current_set(folder)
    assert place_of is not None
    said = json.loads((place_of / "manifest.json").read_text())
    entries = list(listed(place_of))
    assert (said["blobs"], said["size"]) == (len(entries), sum(one.size for one in entries))
    assert [one.key for one in entries] == sorted(one.key for one in entries)
    assert done.manifest == replace(done.manifest, id=said["id"])


@pytest.fixture
def databases(postgres_url: str) -> Iterator[tuple[str, str]]:
    """Two empty databases of their own."""
    url, names = make_url(postgres_url), ("backup_from", "backup_to")
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)

    def drop(conn: "psycopg.Connection[tuple[object, ...]]") -> None:
        for name in names:
            conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    with psycopg.connect(plain, autocommit=True) as conn:
        drop(conn)
        for name in names:
            conn.execute(f"CREATE DATABASE {name}".encode())
        yield (
            url.set(database=names[0]).render_as_string(hide_password=False),
            url.set(database=names[1]).render_as_string(hide_password=False),
        )
        drop(conn)


def test_a_ledger_on_postgresql_comes_back_into_an_empty_database(
    databases: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = databases
    hospital = made_home(tmp_path / "hospital", ledger=source)
    folder, keys = at(tmp_path)
    back_up(hospital, folder, keys, "ann")
    with pytest.raises(SettingsError, match="--ledger"):
        restore(folder, keys, tmp_path / "new", "root")
    found = restore(folder, keys, tmp_path / "new", "root", target)
    again = open_house(load_settings(tmp_path / "new"))
    assert again.settings.ledger_url == target
    assert (found.studies, found.moved) == (3, ("ledger.url",))
    assert contents(again) == contents(hospital)
    with pytest.raises(Rejected, match="not empty"):
        rehearse(folder, keys, "root", target, within=tmp_path)
    monkeypatch.setattr(backup_ledger, "which", lambda _: None)
    with pytest.raises(SettingsError, match="pg_dump is not installed"):
        back_up(hospital, folder, keys, "ann")
    again.ledger.close()
    hospital.ledger.close()
