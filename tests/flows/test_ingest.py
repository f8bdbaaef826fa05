"""Ingest: folders that hold anything, killed and started again; peers that are asked and send."""

from datetime import timedelta
from pathlib import Path

import pytest

from flows import ingest
from flows.house import House
from flows.ingest import Fate
from radloop.domain.errors import NotFound, StorageFull, Unavailable
from radloop.ledger import instances
from tests.flows import place
from tests.peers.dicom_files import part10
from tests.peers.orthanc import orthanc
from tests.peers.sockets import refusing


def write(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for seed in range(count):
        (folder / f"{seed:03d}.dcm").write_bytes(part10(place.chest_study(seed + 1)))


def held(house: House) -> int:
    with house.ledger.read() as conn:
        return instances.count(conn)


def test_a_folder_comes_in_and_bad_files_are_listed_and_left(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder, 3)
    (folder / "notes.txt").write_text("not an image")
    whole = (folder / "000.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    (folder / "DICOMDIR").write_bytes(b"an index")
    done = ingest.import_directory(house, folder)
    assert (done.stored, done.known) == (3, 0)
    assert sorted((bad.path.name, bad.reason) for bad in done.bad) == [
        ("cut.dcm", "unparsable"),
        ("notes.txt", "unparsable"),
    ]
    assert (folder / "notes.txt").exists()


def test_a_second_import_finds_everything_known(house: House, tmp_path: Path) -> None:
    write(tmp_path / "in", 3)
    ingest.import_directory(house, tmp_path / "in")
    before = set(house.store.keys())
    done = ingest.import_directory(house, tmp_path / "in")
    assert (done.stored, done.known, done.bad) == (0, 3, ())
    assert set(house.store.keys()) == before


def test_an_import_that_was_cut_short_goes_on_where_it_was(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in", 5)
    monkeypatch.setattr(ingest, "BATCH", 2)
    told: list[Fate] = []

    def full_after_three(fate: ingest.FileFate) -> None:
        told.append(fate.fate)
        if len(told) == 3:
            raise StorageFull("full")

    with pytest.raises(StorageFull):
        ingest.import_directory(house, tmp_path / "in", full_after_three)
    assert held(house) == 4
    done = ingest.import_directory(house, tmp_path / "in")
    assert (done.stored, done.known) == (1, 4)


def test_another_content_under_a_known_uid_is_bad_and_never_overwrites(house: House, tmp_path: Path) -> None:
    write(tmp_path / "in", 1)
    ingest.import_directory(house, tmp_path / "in")
    other = place.chest_study(1, SeriesDescription="changed")
    (tmp_path / "in" / "other.dcm").write_bytes(part10(other))
    before = set(house.store.keys())
    done = ingest.import_directory(house, tmp_path / "in")
    assert [(bad.path.name, bad.reason) for bad in done.bad] == [("other.dcm", "duplicate-conflict")]
    assert set(house.store.keys()) == before


def test_the_preamble_is_zeroed_and_the_data_set_is_kept(house: House, tmp_path: Path) -> None:
    write(tmp_path / "in", 1)
    path = tmp_path / "in" / "000.dcm"
    data = path.read_bytes()
    path.write_bytes(b"MZ" + data[2:])
    ingest.import_directory(house, tmp_path / "in")
    (key,) = house.store.keys()
    assert house.store.get(key) == data


def test_a_missing_folder_is_said(house: House, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        ingest.import_directory(house, tmp_path / "nowhere")


SENDER = '[peers.pacs]\nae_title = "ORTHANC"\nhost = "127.0.0.1"\nport = {port}\nroles = ["source"]\n'


def test_a_peer_is_asked_only_for_what_is_not_held_whole(tmp_path: Path) -> None:
    with orthanc(modalities={"us": ("RADLOOP", "127.0.0.1", 1)}) as pacs:
        house = place.make_home(tmp_path / "home", more=SENDER.format(port=pacs.port))
        for seed in (1, 2):
            pacs.upload(part10(place.chest_study(seed)))
        place.arrive(house, place.chest_study(1))
        done = ingest.ingest_peer(house, "pacs", "CR", timedelta(days=36500))
        assert (done.found, done.held) == (2, 1)
        assert done.failed == 1, "our gateway does not listen in this test"
        house.ledger.close()


def test_a_peer_that_is_away_is_said(tmp_path: Path) -> None:
    with refusing() as port:
        house = place.make_home(tmp_path / "home", more=SENDER.format(port=port))
        with pytest.raises(Unavailable):
            ingest.ingest_peer(house, "pacs", "CR", timedelta(days=1))
        with pytest.raises(NotFound):
            ingest.ingest_peer(house, "nobody", "CR", timedelta(days=1))
        house.ledger.close()


def test_a_span_is_hours_or_days() -> None:
    assert ingest.span("12h") == timedelta(hours=12)
    assert ingest.span("1d") == timedelta(days=1)
