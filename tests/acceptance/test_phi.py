"""Patient data stays in the ledger, the store and the messages meant for them."""

from pathlib import Path

import httpx
import pytest
from pydicom.dataset import Dataset

from models.phantoms.chest import chest
from tests.acceptance.conftest import World, saved

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

TOKEN = "QZXWKVJ"  # long enough that no encrypted byte string holds it by chance
UID_TOKEN = "7418529637418529"
KEPT = {
    "BodyPartExamined",
    "Modality",
    "ImageType",
    "PhotometricInterpretation",
    "SpecificCharacterSet",
    "ViewPosition",
    "Laterality",
}
TEXT = {"LO", "SH", "PN", "LT", "ST", "UT", "AE", "CS"}


def planted(seed: int) -> Dataset:
    """A phantom with a token in every text attribute and in its UIDs."""
    ds = chest(seed, opacity=True)
    for element in ds:
        if element.VR in TEXT and element.keyword not in KEPT:
            element.value = f"{TOKEN}{element.tag.group:04X}{element.tag.element:04X}"
    ds.PatientComments = f"{TOKEN} comment"
    ds.AccessionNumber = f"{TOKEN}ACC{seed}"
    for keyword, part in (("StudyInstanceUID", 1), ("SeriesInstanceUID", 2), ("SOPInstanceUID", 3)):
        setattr(ds, keyword, f"2.25.{UID_TOKEN}{seed}{part}")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def leaks(folder: Path, allowed: set[str]) -> dict[str, list[bytes]]:
    """Files under `folder` that hold a token in plain text, outside what is meant to."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).parts[0].split(".db")[0] not in allowed:
            data = path.read_bytes()
            if hits := [token for token in (TOKEN.encode(), UID_TOKEN.encode()) if token in data]:
                found[str(path.relative_to(folder))] = hits
    return found


def test_tokens_in_every_text_attribute_and_uid_appear_in_no_log_metric_or_third_party_record(
    world: World, tmp_path: Path
) -> None:
    ds, broken, odd = planted(31), planted(32), planted(33)
    broken.Rows = 9999
    odd.Modality = "US"
    assert world.send(saved(tmp_path, ds, broken, odd)).returncode == 0
    rows = world.house.answered([ds.StudyInstanceUID, odd.StudyInstanceUID], 60)
    assert rows[ds.StudyInstanceUID]["results"]
    home = world.house.home
    assert (home / "logs").exists()
    assert leaks(home, allowed={"ledger"}) == {}
    inference = world.house.ports()["inference"]
    metrics = httpx.get(f"http://127.0.0.1:{inference}/metrics", timeout=10, trust_env=False).text
    assert "# HELP" in metrics
    assert TOKEN not in metrics
    assert UID_TOKEN not in metrics
    status = world.house.cli("status").stdout + world.house.cli("queue").stdout
    assert TOKEN not in status
    assert UID_TOKEN not in status


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.log").write_text(f"{TOKEN} {UID_TOKEN}")
    (tmp_path / "ledger.db").write_text(TOKEN)
    assert list(leaks(tmp_path, allowed={"ledger"})) == ["logs/x.log"]
