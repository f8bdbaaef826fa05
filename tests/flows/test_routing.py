"""Routes, typed rows and the table of who gets what: pure functions over headers and settings."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from sqlalchemy import update

from flows import acquisitions, wanted, warming
from flows.house import House
from flows.routing import routed, volunteers
from integrations.objects.context import PriorityMessage
from radloop.domain.enums import ObjectKind, Qualification, ResultStatus, Standing, Urgency
from radloop.domain.ids import utc_now
from radloop.domain.records import Acquisition, Blob, Instance, InstanceHeader
from radloop.ledger import tables
from radloop.settings import Condition, Peer, Route, SiteSettings
from tests.flows import cards
from tests.radloop.ledger import rows

INSTANCE = Instance(
    id="in_1",
    version_id="sv_1",
    header=InstanceHeader(
        study_uid="1.2",
        series_uid="1.2.3",
        sop_uid="1.2.3.4",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality="CR",
        patient_id="P",
        issuer="",
        accession_number="A",
    ),
    blob=Blob("k", "s", 1),
    peer="modality",
    received_at=utc_now(),
)


def route(*models: str, **when: tuple[str, ...]) -> Route:
    return Route(models=models, when=Condition(**when))


def facts_of(**values: str) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ({"modality": ("CR", "DX")}, True),
        ({"modality": ("MR",)}, False),
        ({"body_part": ("CHEST", "")}, True),
        ({"body_part": ("CHEST",)}, False),
        ({"description": ("*thorax*",)}, True),
        ({"description": ("XR *",)}, True),
        ({"description": ("",)}, False),
        ({"view": ("",)}, True),
        ({"station": ("ROOM?",)}, True),
        ({"peer": ("modality",), "modality": ("CR",)}, True),
        ({"peer": ("elsewhere",), "modality": ("CR",)}, False),
    ],
)
def test_a_route_matches_on_tags_and_on_their_absence(when: dict[str, tuple[str, ...]], matches: bool) -> None:
    ds = facts_of(SeriesDescription="Thorax pa", StudyDescription="XR chest", StationName="ROOM1")
    images = acquisitions.facts(INSTANCE, ds)
    assert routed([route("m", **when)], images) == (("m",) if matches else ())


def test_every_model_is_named_once_in_the_order_of_the_routes() -> None:
    routes = [route("b", "a"), route("a", "c"), route("d", modality=("MR",))]
    assert routed(routes, acquisitions.facts(INSTANCE, Dataset()) * 2) == ("b", "a", "c")


def test_no_image_matches_no_route() -> None:
    assert routed([route("a")], ()) == ()


KEYWORDS = (
    "BodyPartExamined", "ViewPosition", "SeriesDescription", "Manufacturer", "KVP", "Exposure", "Rows", "Columns",
    "NumberOfFrames", "BitsStored", "PixelSpacing", "SliceThickness", "ConvolutionKernel", "SoftwareVersions",
)  # fmt: skip
VALUES = (
    st.none()
    | st.text(max_size=20)
    | st.lists(st.text(max_size=5), max_size=3)
    | st.sampled_from(["nan", "inf", "-1", "1e400", "99999999999999999999", "\x00", "a\x1bb", "../../etc"])
)


@given(st.dictionaries(st.sampled_from(KEYWORDS), VALUES))
def test_any_header_makes_a_typed_row_of_finite_numbers_and_printable_text(values: dict[str, object]) -> None:
    ds = Dataset()
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        ds[tag] = DataElement(tag, "UT", value, already_converted=True)
    row = acquisitions.acquisition(INSTANCE, ds)
    for number in (row.kvp, row.exposure, row.spacing, row.thickness):
        assert number is None or abs(number) < float("inf")
    for whole in (row.rows, row.columns, row.frames, row.bits_stored):
        assert whole is None or 0 <= whole < 1 << 31
    for text in (row.body_part, row.view, row.description, row.manufacturer, row.software, row.kernel):
        assert text.isprintable()
        assert len(text) <= acquisitions.LONGEST_TEXT


def test_no_text_of_the_patient_enters_the_row() -> None:
    token = "ZQTOKEN"
    ds = facts_of(PatientName=token, PatientID=token, AccessionNumber=token, InstitutionName=token, Rows=None)
    ds.OperatorsName = ds.ReferringPhysicianName = token
    assert token not in repr(acquisitions.acquisition(INSTANCE, ds))


PEERS = {
    "pacs": Peer(name="pacs", roles=("results",), ae_title="A", host="h", port=1),
    "ris": Peer(name="ris", roles=("reports", "orders"), mllp="h:1", priority_upgrade="ORM"),
    "old": Peer(name="old", roles=("orders",), mllp="h:2", priority_upgrade="OMI"),
    "quiet": Peer(name="quiet", roles=("orders",), mllp="h:3"),
    "ehr": Peer(name="ehr", roles=("reports",), fhir="http://h/fhir"),
    "modality": Peer(name="modality", roles=("source",), ae_title="M", host="h"),
}


def who_gets(urgency: Urgency, status: ResultStatus = ResultStatus.OK, **site: bool) -> dict[str, set[str]]:
    result = rows.result("sv_1", findings=(rows.finding(urgency=urgency),), status=status)
    found: dict[str, set[str]] = {}
    for one in wanted.recipients(result, PEERS, SiteSettings(**site), tuple(ObjectKind)):
        name = f"{one.kind}/{one.message}" if one.kind is ObjectKind.ORM else str(one.kind)
        found[name] = set(one.peers)
    return found


def test_pictures_go_to_the_pacs_reports_to_ris_and_ehr() -> None:
    found = who_gets(Urgency.ROUTINE)
    assert found["SR"] == found["SC"] == {"pacs"}
    assert found["ORU"] == {"ris"}
    assert found["DIAGNOSTIC_REPORT"] == {"ehr"}
    assert not any(name.startswith("ORM") for name in found)


def test_each_peer_gets_the_upgrade_in_the_form_that_it_wants() -> None:
    found = who_gets(Urgency.CRITICAL)
    assert found[f"ORM/{PriorityMessage.ORM_O01}"] == {"ris"}
    assert found[f"ORM/{PriorityMessage.OMI_O23}"] == {"old"}


def test_what_is_no_reading_is_sent_only_where_the_site_asks() -> None:
    assert who_gets(Urgency.ROUTINE, ResultStatus.NOT_APPLICABLE) == {}
    assert who_gets(Urgency.ROUTINE, ResultStatus.NOT_APPLICABLE, not_applicable_sr=True) == {"SR": {"pacs"}}


def test_secondary_captures_and_objects_without_a_matrix_are_no_images_to_read() -> None:
    image = facts_of(Rows=10, Columns=10)  # type: ignore[arg-type]
    assert acquisitions.is_image(INSTANCE, image)
    assert not acquisitions.is_image(INSTANCE, Dataset())
    capture = replace(INSTANCE.header, sop_class_uid="1.2.840.10008.5.1.4.1.1.7")
    assert not acquisitions.is_image(replace(INSTANCE, header=capture), image)


def test_a_peer_that_takes_product_answers_only_gets_a_models_answers_once_it_is_product() -> None:
    research = rows.result("sv_1")
    product = replace(research, model=replace(research.model, qualification=Qualification.PRODUCT))
    peers = {name: peer.model_copy(update={"qualifications": ("PRODUCT",)}) for name, peer in PEERS.items()}
    assert wanted.recipients(research, peers, SiteSettings(), tuple(ObjectKind)) == ()
    assert wanted.recipients(product, peers, SiteSettings(), tuple(ObjectKind)) == wanted.recipients(
        product, PEERS, SiteSettings(), tuple(ObjectKind)
    )


def test_warming_up_makes_one_object_of_every_kind() -> None:
    assert warming.warm_up(SiteSettings()) >= len({ObjectKind.SR, ObjectKind.SC, ObjectKind.ORU})


def test_an_upload_is_read_by_every_champion_whose_card_takes_it_and_by_no_other_version(house: House) -> None:
    film = Acquisition(
        instance_id="in_1", version_id="sv_1", modality="CR", body_part="CHEST", photometric="MONOCHROME2", rows=256,
        columns=256,
    )  # fmt: skip
    foot = replace(film, body_part="FOOT")
    installed = house.settings.models_path
    with house.ledger.write() as conn:
        assert volunteers(conn, [film, foot], installed) == (cards.NAME,)
        assert volunteers(conn, [foot], installed) == ()
        conn.execute(update(tables.models).values(standing=Standing.SHADOW))
        assert volunteers(conn, [film], installed) == ()
