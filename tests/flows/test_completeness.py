"""Completeness: the pure judge under every history of arrivals, and the step over a real ledger and a real PACS."""

import asyncio
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.completeness import Completer, Watch, judge, single_image
from flows.house import House
from radloop.domain.enums import Signal, StudyState, Urgency
from radloop.domain.ids import utc_now
from radloop.domain.records import Evidence, Order, StudyVersion
from radloop.ledger import orders, studies
from radloop.settings import CompletenessSettings
from tests.flows import place
from tests.peers.dicom_files import part10
from tests.peers.orthanc import orthanc
from tests.peers.sockets import hostile, silent

RULES = CompletenessSettings(settle_seconds=0.5, quiet_seconds=30.0)
VERSION = StudyVersion(
    id="sv_1",
    study_id="st_1",
    study_uid="1.2.3",
    number=1,
    state=StudyState.RECEIVING,
    reason=None,
    urgency=Urgency.ROUTINE,
    evidence=Evidence(),
    received_at=utc_now(),
    completed_at=None,
    answered_at=None,
    instances=1,
    modalities=("CT",),
    peer="modality",
)
MODALITIES = st.sets(st.sampled_from(["CR", "DX", "CT", "MR"]), min_size=1).map(lambda found: tuple(sorted(found)))
EXPECTED = st.none() | st.integers(0, 50)


@given(MODALITIES, st.integers(1, 50), st.floats(0, 100, allow_subnormal=False), EXPECTED)
def test_no_study_completes_without_its_evidence(
    modalities: tuple[str, ...], instances: int, idle: float, expected: int | None
) -> None:
    version = replace(VERSION, modalities=modalities, instances=instances)
    evidence = judge(version, idle, expected, RULES)
    if evidence is None:
        assert idle < RULES.quiet_seconds
        return
    assert idle >= RULES.settle_seconds
    holds = {
        Signal.EXPECTED_COUNT: expected is not None and 0 < expected <= instances,
        Signal.SINGLE_IMAGE: set(modalities) <= {"CR", "DX"},
        Signal.QUIET_PERIOD: idle >= RULES.quiet_seconds,
    }
    assert evidence.signal is not None
    assert holds[evidence.signal]
    assert evidence.expected == expected
    assert evidence.missing == (None if expected is None else max(0, expected - instances))


@given(MODALITIES, st.integers(1, 50), EXPECTED)
def test_every_study_completes_after_the_quiet_period(
    modalities: tuple[str, ...], instances: int, expected: int | None
) -> None:
    version = replace(VERSION, modalities=modalities, instances=instances)
    assert judge(version, RULES.quiet_seconds, expected, RULES) is not None


@given(
    MODALITIES,
    st.integers(1, 50),
    st.floats(0, 100, allow_subnormal=False),
    st.floats(0, 100, allow_subnormal=False),
    EXPECTED,
)
def test_waiting_longer_never_takes_evidence_away(
    modalities: tuple[str, ...], instances: int, idle: float, longer: float, expected: int | None
) -> None:
    version = replace(VERSION, modalities=modalities, instances=instances)
    if judge(version, idle, expected, RULES) is not None:
        assert judge(version, idle + longer, expected, RULES) is not None


@given(st.lists(st.tuples(st.floats(0, 10, allow_subnormal=False), st.integers(0, 3)), min_size=1, max_size=30))
@settings(max_examples=200)
def test_idle_time_counts_from_the_last_arrival_and_never_from_before_it(steps: list[tuple[float, int]]) -> None:
    watch, now, count, changed = Watch(), 1000.0, 1, 1000.0
    watch.look([VERSION], now)
    for wait, arrived in steps:
        now += wait
        count += arrived
        changed = now if arrived else changed
        idle = watch.look([replace(VERSION, instances=count)], now)
        assert idle == {VERSION.id: pytest.approx(now - changed)}


def test_a_version_that_no_longer_receives_is_forgotten() -> None:
    watch = Watch()
    watch.look([VERSION], 0.0)
    assert watch.look([], 1.0) == {}
    assert watch.look([VERSION], 100.0) == {VERSION.id: 0.0}


def test_a_study_of_mixed_modalities_is_no_single_image() -> None:
    assert single_image(replace(VERSION, modalities=("CR",)), RULES)
    assert not single_image(replace(VERSION, modalities=("CR", "CT")), RULES)
    assert not single_image(replace(VERSION, modalities=()), RULES)


async def until_complete(house: House, seconds: float) -> float:
    """Step until nothing receives any more; seconds it took."""
    completer, begun = Completer(house), time.monotonic()
    while time.monotonic() - begun < seconds:
        with house.ledger.read() as conn:
            receiving = studies.receiving(conn)
        if not receiving:
            break
        await completer.step(receiving)
        await asyncio.sleep(0.02)
    await completer.stop()
    return time.monotonic() - begun


def newest(house: House) -> StudyVersion:
    with house.ledger.read() as conn:
        (version,) = studies.latest(conn, None, None)
    return version


def test_a_radiograph_completes_once_it_settled(house: House) -> None:
    place.arrive(house, place.chest_study(1))
    assert asyncio.run(until_complete(house, 5)) < 1.0
    assert newest(house).evidence == Evidence(signal=Signal.SINGLE_IMAGE)


def test_a_late_instance_makes_the_next_version(house: House) -> None:
    place.arrive(house, place.chest_study(1))
    asyncio.run(until_complete(house, 5))
    place.arrive(house, place.chest_study(1, SOPInstanceUID="2.25.99"))
    assert newest(house).number == 2
    assert newest(house).state is StudyState.RECEIVING


def test_an_order_that_names_a_count_completes_a_study_before_the_quiet_period(house: House) -> None:
    ds = place.chest_study(1, Modality="CT")
    order = Order(
        accession_number=str(ds.AccessionNumber),
        placer_number="",
        filler_number="",
        patient_id=str(ds.PatientID),
        issuer="",
        priority=Urgency.ROUTINE,
        expected_instances=1,
    )
    with house.ledger.write() as conn:
        orders.record(conn, order, "ris")
    place.arrive(house, ds)
    assert asyncio.run(until_complete(house, 5)) < 0.9
    assert newest(house).evidence == Evidence(signal=Signal.EXPECTED_COUNT, expected=1, missing=0)


def test_an_order_that_names_more_than_came_leaves_the_missing_on_record(house: House) -> None:
    ds = place.chest_study(1, Modality="CT")
    order = Order(
        accession_number=str(ds.AccessionNumber),
        placer_number="",
        filler_number="",
        patient_id=str(ds.PatientID),
        issuer="",
        priority=Urgency.ROUTINE,
        expected_instances=3,
    )
    with house.ledger.write() as conn:
        orders.record(conn, order, "ris")
    place.arrive(house, ds)
    assert asyncio.run(until_complete(house, 5)) >= 1.0
    assert newest(house).evidence == Evidence(signal=Signal.QUIET_PERIOD, expected=3, missing=2)


SENDER = """
[peers.modality]
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {port}
roles = ["source"]
answer_seconds = 2.0
"""


def test_the_sender_is_asked_how_many_there_are(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("asks")
    with orthanc(modalities={"us": ("RADLOOP", "127.0.0.1", 104)}) as pacs:
        house = place.make_home(home, quiet=30.0, more=SENDER.format(port=pacs.port))
        ds = place.chest_study(1, Modality="CT")
        pacs.upload(part10(ds))
        place.arrive(house, ds)
        took = asyncio.run(until_complete(house, 15))
        assert took < 10
        assert newest(house).evidence == Evidence(signal=Signal.EXPECTED_COUNT, expected=1, missing=0)
        house.ledger.close()


def test_a_silent_sender_delays_no_study(tmp_path_factory: pytest.TempPathFactory) -> None:
    with hostile(silent) as port:
        house = place.make_home(tmp_path_factory.mktemp("silent"), more=SENDER.format(port=port))
        place.arrive(house, place.chest_study(1, Modality="CT"), place.chest_study(2))
        took = asyncio.run(until_complete(house, 10))
        with house.ledger.read() as conn:
            signals = {v.evidence.signal for v in studies.latest(conn, None, None)}
        assert signals == {Signal.QUIET_PERIOD, Signal.SINGLE_IMAGE}
        assert took < 2.5
        house.ledger.close()
