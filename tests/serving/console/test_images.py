"""Images in the console: numbers for the viewer, stacks in order, heatmaps, one audit row for each image."""

import json
import threading
from collections.abc import Sequence
from io import BytesIO

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset

from flows.house import House
from radloop.domain.access import Permission, Role, Who
from radloop.domain.enums import ActorKind
from radloop.domain.errors import Unavailable
from radloop.domain.records import Actor, AuditEvent
from radloop.ledger import instances
from radloop.pixels import DecodePool, read_header
from radloop.render import heat, to_png
from serving.console import seen
from serving.console.framing import framed
from serving.console.seen import Views
from serving.console.stacks import stacks_of
from tests.flows import place
from tests.flows.readings import answer
from tests.radloop.ledger import rows
from tests.radloop.pixels import samples
from tests.serving.console.conftest import Console

READER = Who(
    actor=Actor("ac_1", "dr.who", ActorKind.PERSON),
    roles=frozenset([Role.READER]),
    permissions=frozenset([Permission.VIEW_STUDIES]),
    session="ss_1",
)


def numbers(answer: httpx.Response) -> tuple[dict[str, float], NDArray[np.uint16]]:
    assert answer.status_code == 200, answer.text
    facts = json.loads(answer.headers["x-frame"])
    return facts, np.frombuffer(answer.content, "<u2").reshape(facts["height"], facts["width"])


def ids(house: House, version_id: str) -> list[str]:
    with house.ledger.read() as conn:
        return [one.id for one in instances.of_version(conn, version_id)]


def arrived(house: House, *datasets: Dataset) -> str:
    receipts = place.arrive(house, *datasets)
    assert receipts[0].version_id is not None
    return receipts[0].version_id


def viewed(house: House) -> Sequence[str]:
    with house.ledger.read() as conn:
        found = conn.exec_driver_sql("SELECT object_id FROM audit_events WHERE action = 'view.image' ORDER BY at, id")
        return list(found.scalars())


def test_a_frame_comes_as_numbers_of_which_modality_values_can_be_made(console: Console) -> None:
    ds = samples.image(8, 6, RescaleSlope="2", RescaleIntercept="-1000", WindowCenter="40", WindowWidth="400")
    ds.PixelSpacing = ["1.5", "0.75"]
    (instance_id,) = ids(console.house, arrived(console.house, ds))
    with console.browser(Role.READER) as browser:
        path = f"/api/v1/instances/{instance_id}/frames/"
        facts, sent = numbers(browser.get(path + "0"))
        assert browser.get(path + "1").status_code == 422, "there is one frame"
        assert browser.get(path + "-1").status_code == 404
        assert "no-store" in browser.get(path + "0").headers["cache-control"]
        for strange in (console.result.id, console.result.version_id, "in_0"):
            assert browser.get(f"/api/v1/instances/{strange}/frames/0").status_code == 404
    values = sent * facts["slope"] + facts["intercept"]
    assert np.array_equal(values, np.arange(48).reshape(8, 6) * 2.0 - 1000)
    assert (facts["center"], facts["window"], facts["invert"]) == (40, 400, False)
    assert (facts["aspect"], facts["rows"], facts["columns"], facts["frames"]) == (2.0, 8, 6, 1)
    assert viewed(console.house) == [instance_id], "one row for each image that was opened"
    with console.browser(Role.IT) as browser:
        assert browser.get(f"/api/v1/instances/{instance_id}/frames/0").status_code == 403


def test_large_images_are_reduced_and_monochrome1_is_turned_round_by_the_viewer() -> None:
    ds = samples.image(2000, 1000, PhotometricInterpretation="MONOCHROME1", NumberOfFrames=1)
    with DecodePool(1) as pool:
        data = samples.encode(ds)
        facts, sent = framed(pool.decode_coloured(data), read_header(data))
    assert (facts.height, facts.width, facts.rows, facts.columns) == (1600, 800, 2000, 1000)
    assert len(sent) == 1600 * 800 * 2
    assert facts.invert
    assert facts.window > 1, "without a window in the header one is found"


def test_colour_images_come_in_their_colours() -> None:
    ds = samples.image(2, 2, PhotometricInterpretation="RGB", SamplesPerPixel=3, PlanarConfiguration=0)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = bytes((255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30))
    with DecodePool(1) as pool:
        data = samples.encode(ds)
        facts, sent = framed(pool.decode_coloured(data), read_header(data))
        grey = pool.decode(data)
    assert (facts.samples, facts.height, facts.width) == (3, 2, 2)
    assert sent == ds.PixelData
    assert (grey.samples, grey.pixels.shape) == (1, (2, 2)), "who reads by machine gets luminance as before"


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_ybr_full_422_uncompressed.dcm"])
def test_compressed_colour_is_red_where_it_is_red(name: str) -> None:
    data = samples.bundled_file(name)
    with DecodePool(1) as pool:
        facts, sent = framed(pool.decode_coloured(data), read_header(data))
    at = 3 * (5 * facts.width + 50)
    assert list(sent[at : at + 3]) == pytest.approx([255, 0, 0], abs=3)


def test_a_stack_is_in_the_order_of_the_patient_whatever_came_first(console: Console) -> None:
    first = samples.image(InstanceNumber="1")
    slices = []
    for number, at in ((3, 10.0), (1, 30.0), (2, 20.0)):
        one = samples.image(InstanceNumber=str(number), ImagePositionPatient=["0", "0", str(at)])
        one.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        one.StudyInstanceUID, one.SeriesInstanceUID = first.StudyInstanceUID, first.SeriesInstanceUID
        slices.append(one)
    multi = samples.image(frames=4, SeriesDescription="cine")
    multi.StudyInstanceUID = first.StudyInstanceUID
    version_id = arrived(console.house, *slices, multi)
    with console.browser(Role.READER) as browser:
        one, other = browser.get(f"/api/v1/studies/{version_id}/images").json()
        assert browser.get("/api/v1/studies/sv_0/images").status_code == 404
    came = ids(console.house, version_id)
    assert [image["instance_id"] for image in one["images"]] == [came[0], came[2], came[1]]
    assert (other["description"], other["images"]) == ("cine", [{"instance_id": came[3], "frames": 4}])


def test_what_is_no_image_or_is_gone_is_in_no_stack(console: Console) -> None:
    version_id = arrived(console.house, samples.image())
    with console.house.ledger.read() as conn:
        (found,) = instances.of_version(conn, version_id)
    console.house.store.delete(found.blob.key)
    assert stacks_of(console.house.store, [found]) == ()
    with console.browser(Role.READER) as browser:
        assert browser.get(f"/api/v1/instances/{found.id}/frames/0").status_code == 404
    assert viewed(console.house) == [], "nothing was seen"


def test_a_heatmap_lies_over_the_whole_image_and_hides_none_of_the_cold(console: Console) -> None:
    store = console.house.store
    warm = np.zeros((4, 4), np.float32)
    warm[0, 0] = 1.0
    keys = {
        "picture_key": store.put(to_png(np.full((40, 20), 128, np.uint8))).key,
        "heatmap_key": store.put(heat(warm)).key,
    }
    version_id = arrived(console.house, place.chest_study(41))
    result = answer(console.house.ledger, version_id, findings=(rows.finding(**keys), rows.finding(target="other")))
    with console.browser(Role.READER) as browser:
        path = f"/api/v1/results/{result.id}/findings/"
        layer = Image.open(BytesIO(browser.get(path + "0/heatmap").content))
        small = Image.open(BytesIO(browser.get(path + "0/thumbnail").content))
        for nothing in ("1/heatmap", "1/thumbnail", "7/heatmap"):
            assert browser.get(path + nothing).status_code == 404
    assert (layer.mode, layer.size, small.size) == ("RGBA", (4, 4), (128, 256))
    alpha = np.asarray(layer)[..., 3]
    assert alpha[0, 0] > 100
    assert alpha[3, 3] == 0


def test_a_fast_scroll_leaves_a_row_for_every_image(console: Console) -> None:
    views = Views(console.house)
    wanted = [f"in_{number}" for number in range(60)]
    work = [
        threading.Thread(target=lambda part=part: [views.record(READER, "image", "instance", one) for one in part])
        for part in (wanted[::3], wanted[1::3], wanted[2::3], wanted[:10])
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join(20)
    assert set(viewed(console.house)) == set(wanted)
    before = len(viewed(console.house))
    views.record(READER, "image", "instance", wanted[0])
    assert len(viewed(console.house)) == before, "the same image again is the same view"


def test_what_cannot_be_put_on_record_is_not_shown_and_no_row_is_lost(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    views, real = Views(console.house), seen.record

    def locked(house: House, events: Sequence[AuditEvent]) -> None:
        raise Unavailable("the ledger is locked")

    monkeypatch.setattr(seen, "record", locked)
    with pytest.raises(Unavailable):
        views.record(READER, "image", "instance", "in_1")
    monkeypatch.setattr(seen, "record", real)
    views.record(READER, "image", "instance", "in_2")
    assert set(viewed(console.house)) == {"in_1", "in_2"}
