"""Real images through the door and the model: each ends where it should. Public sets and pydicom's own files."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset, dcmread

from flows import ingest
from flows.house import House, open_house
from models.bundles import install
from models.catalog import catalog
from radloop.domain.acquired import NoteOutcome, QualityNote
from radloop.domain.enums import Qualification, ResultStatus, Standing
from radloop.domain.records import Acquisition, ModelVersion, Result
from radloop.ledger import acquisitions, embeddings, instances, models, quality_notes, results, studies
from radloop.settings import load_settings
from radloop.store import Keyring
from tests.flows import place
from tests.flows.test_triage import read_all
from tests.serving.inference.house import make_home, model_server

DATA = Path(__file__).parents[4] / "shared" / "data"
PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
NAME = "cxr_pneumonia"
# A route that sends everything to the chest: what does not belong there has to be told by the card and the door.
ROUTE = f"""
deadline_seconds = 60.0
[[routes]]
models = ["{NAME}"]
when = {{ peer = ["modality", "old hall", "new hall", "import"] }}
"""
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the public sets are not here (../shared/data)")


@dataclass(frozen=True)
class End:
    """Where one study ended."""

    reason: str | None
    results: tuple[Result, ...]
    notes: tuple[QualityNote, ...]
    rows: tuple[Acquisition, ...]
    embedded: int

    @property
    def warned(self) -> list[str]:
        return [note.check for note in self.notes if note.outcome is NoteOutcome.WARN]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with the zoo's chest model as champion, and the real model server."""
    home = make_home(tmp_path_factory.mktemp("real") / "home", more=ROUTE)
    settings, spec = load_settings(home), catalog()[NAME]
    install(spec.bundle, settings.models_path, Keyring.load(settings.keys_path).signing_key)
    house = open_house(settings)
    house.ledger.upgrade()
    champion = ModelVersion(
        name=NAME,
        version=spec.version,
        digest=spec.digest,
        standing=Standing.CHAMPION,
        qualification=Qualification.RESEARCH,
    )
    with house.ledger.write() as conn:
        models.register(conn, champion)
    with model_server(home, spec.digest):
        yield house
    house.ledger.close()


def ended(house: House, uid: str) -> End:
    with house.ledger.read() as conn:
        version = studies.latest_of(conn, uid)
        assert version is not None
        found = results.of_version(conn, version.id)
        ids = [one.id for one in instances.of_version(conn, version.id)]
        return End(
            reason=version.reason,
            results=found,
            notes=quality_notes.of_version(conn, version.id),
            rows=acquisitions.of_instances(conn, ids),
            embedded=sum(len(embeddings.of_result(conn, one.id)) for one in found),
        )


def through(house: House, images: list[Dataset], peer: str = "modality") -> list[End]:
    """Send each as a study of its own, have everything read, and see where each ended."""
    for ds in images:
        place.arrive(house, ds, peer=peer)
    assert set(read_all(house)) <= {"ANSWERED"}
    return [ended(house, str(ds.StudyInstanceUID)) for ds in images]


def images(folder: str, first: int, count: int, least: int = 0) -> list[Dataset]:
    read = (dcmread(path) for path in sorted((DATA / folder).glob("*.dcm"))[first:])
    large = (ds for ds in read if min(ds.Rows, ds.Columns) >= least)
    return [ds for ds, _ in zip(large, range(count), strict=False)]


@needs_data
def test_radiographs_are_read_and_a_changed_scanner_stands_in_their_rows(hospital: House) -> None:
    old, new = images("cxr", 0, 5), images("cxr", 5, 5)
    for ds in new:
        ds.ManufacturerModelName, ds.SoftwareVersions = "Changed 9", "2.0"
    ends = [*through(hospital, old, "old hall"), *through(hospital, new, "new hall")]
    assert [[one.status for one in end.results] for end in ends] == [[ResultStatus.OK]] * 10
    assert [end.warned for end in ends] == [[]] * 10
    changed = Counter((row.site, row.model_name == "Changed 9", row.software) for end in ends for row in end.rows)
    assert changed == {("old hall", False, ""): 5, ("new hall", True, "2.0"): 5}
    assert [end.embedded for end in ends] == [1] * 10


@needs_data
def test_a_brain_under_its_own_name_is_not_applicable_to_the_chest_model(hospital: House) -> None:
    ends = through(hospital, images("brain-mr", 0, 4))
    assert [end.results[0].status for end in ends] == [ResultStatus.NOT_APPLICABLE] * 4
    assert {end.reason for end in ends} == {f"{NAME}: modality is not CR or DX"}
    assert [end.notes for end in ends] == [()] * 4
    (row,) = ends[0].rows
    assert (row.sequence, row.repetition_time, row.echo_time) == ("SE", 4000.0, 90.0)


@needs_data
def test_a_brain_under_the_name_of_a_chest_is_answered_with_a_warning(hospital: House) -> None:
    brains = images("brain-mr", 10, 4, least=256)
    for ds in brains:
        ds.Modality, ds.BodyPartExamined, ds.ViewPosition = "CR", "CHEST", "PA"
    ends = through(hospital, brains)
    assert [end.results[0].status for end in ends] == [ResultStatus.OK] * len(brains)
    assert len(brains) == 4
    assert all(set(end.warned) & {"wrong_body_part", "inverted"} for end in ends)


@needs_data
def test_inverted_grey_values_are_answered_with_a_warning(hospital: House) -> None:
    spoiled = images("cxr", 20, 3)
    for ds in spoiled:
        ds.decompress(generate_instance_uid=False)
        ds.PixelData = (255 - ds.pixel_array).astype("uint8").tobytes()
    assert [end.warned for end in through(hospital, spoiled)] == [["inverted"]] * 3


def test_pydicoms_own_files_end_without_an_answer_and_without_a_study_that_waits(hospital: House) -> None:
    done = ingest.import_directory(hospital, PYDICOM)
    assert done.stored > 40
    outcomes = Counter(read_all(hospital))
    assert set(outcomes) == {"ANSWERED"}
    with hospital.ledger.read() as conn:
        versions = studies.latest(conn, None, None)
        said = [one for found in results.of_versions(conn, [one.id for one in versions]).values() for one in found]
    foreign = [one for one in said if one.status is not ResultStatus.OK]
    assert {one.status for one in foreign} == {ResultStatus.NOT_APPLICABLE}
    assert len(foreign) >= 5
