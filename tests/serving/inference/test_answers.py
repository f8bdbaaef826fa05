"""What the model server answers, asked over its real interface."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.uid import JPEG2000Lossless

from models.phantoms import brain_slices, chest
from radloop.domain.enums import ResultStatus
from radloop.domain.records import InferenceAnswer, TargetScore
from tests.peers.dicom_files import part10
from tests.serving.inference.bundle import NAME, TARGET
from tests.serving.inference.house import ModelServer


def image(server: ModelServer, key: str | None) -> Image.Image:
    assert key is not None
    return Image.open(BytesIO(server.store.get(key)), formats=["PNG"])


def score_of(answer: InferenceAnswer) -> TargetScore:
    (score,) = answer.scores
    return score


def small_chest(seed: int) -> Dataset:
    return chest(seed, opacity=True, rows=128)


def test_a_radiograph_gets_one_score_per_target_of_the_card(server: ModelServer) -> None:
    reference = server.keep(small_chest(1))
    answer = server.ask(reference)
    assert (answer.model, answer.digest, answer.status, answer.reason) == (NAME, server.digest, ResultStatus.OK, None)
    score = score_of(answer)
    assert (score.target, score.instance_id) == (TARGET, reference["id"])
    assert 0.0 < score.probability < 1.0
    assert score.probability == round(score.probability, 4)


def test_the_answer_on_the_wire_has_the_fields_of_the_record_and_no_others(server: ModelServer) -> None:
    body = json.loads(server.post(server.keep(small_chest(1))).content)
    assert list(body) == [field.name for field in fields(InferenceAnswer)]
    assert list(body["scores"][0]) == [field.name for field in fields(TargetScore)]
    assert body["status"] == "OK"


def test_a_run_says_what_must_be_known_to_compute_it_again(server: ModelServer) -> None:
    run = server.ask(server.keep(small_chest(1))).run
    assert (run.batch, run.device) == (1, "cpu")
    assert run.threads >= 1
    assert "torch" in run.build
    assert run.seconds > 0


def test_picture_and_heatmap_are_grey_pngs_and_the_picture_has_the_image_s_shape(server: ModelServer) -> None:
    score = score_of(server.ask(server.keep(small_chest(2))))
    picture, heat = image(server, score.picture_key), image(server, score.heatmap_key)
    assert picture.mode == heat.mode == "L"
    assert picture.size == (128, 128)
    assert min(heat.size) > 1
    assert np.asarray(picture).std() > 10


def test_a_picture_s_long_side_is_1024_at_most_and_the_box_is_in_pixels_of_the_source(server: ModelServer) -> None:
    score = score_of(server.ask(server.keep(chest(3, opacity=True, rows=1536))))
    assert image(server, score.picture_key).size == (1024, 1024)
    assert score.box is not None
    left, top, right, bottom = score.box
    assert 0 <= left < right <= 1536
    assert 0 <= top < bottom <= 1536


def test_the_same_image_at_batch_one_gives_the_same_bits(server: ModelServer) -> None:
    reference = server.keep(small_chest(4))
    answers = [server.ask(reference) for _ in range(3)]
    assert {answer.run.batch for answer in answers} == {1}
    assert len({score_of(answer).probability for answer in answers}) == 1
    # Every grey level of the map comes from the gradients: a last bit that moves would show.
    assert len({server.store.get(score_of(answer).heatmap_key or "") for answer in answers}) == 1


def test_sixteen_at_once_are_batched_and_answered_as_if_alone(server: ModelServer) -> None:
    references = [server.keep(small_chest(seed)) for seed in range(16)]
    alone = [score_of(server.ask(reference)).probability for reference in references]
    with ThreadPoolExecutor(16) as threads:
        together = list(threads.map(server.ask, references))
    assert [score_of(answer).probability for answer in together] == pytest.approx(alone, abs=1e-4)
    assert all(1 <= answer.run.batch <= 8 for answer in together)
    assert len(set(alone)) > 8


def test_a_batch_is_no_larger_than_the_setting_and_says_how_large_it_was(server: ModelServer) -> None:
    references = [server.keep(ds) for ds in brain_slices(5, lesion=True, count=12, rows=128)]
    assert server.ask(*references).run.batch == 8
    assert server.ask(*references[:3]).run.batch == 3


def test_a_series_gets_its_highest_slice_s_probability_and_picture(server: ModelServer) -> None:
    references = [server.keep(ds) for ds in brain_slices(6, lesion=True, count=6, rows=128)]
    singles = {ref["id"]: score_of(server.ask(ref)).probability for ref in references}
    series = score_of(server.ask(*references))
    assert series.probability == pytest.approx(max(singles.values()), abs=1e-4)
    assert series.instance_id is not None
    assert singles[series.instance_id] == pytest.approx(max(singles.values()), abs=1e-4)
    assert image(server, series.picture_key).size == (128, 128)


def test_a_compressed_image_reads_as_the_plain_one(server: ModelServer) -> None:
    plain, packed = small_chest(7), small_chest(7)
    packed.compress(JPEG2000Lossless, generate_instance_uid=False)
    answers = [server.ask(server.keep(ds)) for ds in (plain, packed)]
    assert score_of(answers[0]).probability == score_of(answers[1]).probability


def test_a_monochrome1_image_is_turned_round(server: ModelServer) -> None:
    plain, inverted = small_chest(8), small_chest(8)
    inverted.PhotometricInterpretation = "MONOCHROME1"
    inverted.PixelData = (4095 - np.frombuffer(plain.PixelData, "<u2")).astype("<u2").tobytes()
    answers = [server.ask(server.keep(ds)) for ds in (plain, inverted)]
    assert score_of(answers[0]).probability == pytest.approx(score_of(answers[1]).probability, abs=1e-3)


def test_pixels_that_nothing_can_decode_are_unavailable_with_the_code_of_the_reason(server: ModelServer) -> None:
    ds = small_chest(9)
    ds.PixelData = ds.PixelData[:100]
    answer = server.ask(server.keep(ds))
    assert (answer.status, answer.scores) == (ResultStatus.UNAVAILABLE, ())
    assert (answer.reason or "").startswith("undecodable: ")


def test_a_bomb_is_unavailable_and_hurts_nobody(server: ModelServer) -> None:
    ds = small_chest(10)
    ds.Rows = ds.Columns = 65_000
    answer = server.ask(server.keep(ds))
    assert answer.status is ResultStatus.UNAVAILABLE
    assert (answer.reason or "").startswith("too-large: ")
    assert server.ask(server.keep(small_chest(10))).status is ResultStatus.OK


def test_bytes_that_are_no_dicom_are_unavailable(server: ModelServer) -> None:
    answer = server.ask(server.keep_bytes(b"not DICOM" * 100))
    assert answer.status is ResultStatus.UNAVAILABLE
    assert (answer.reason or "").startswith("unparsable: ")


def test_a_slice_that_cannot_be_decoded_is_told_and_the_others_are_read(server: ModelServer) -> None:
    good = [server.keep(ds) for ds in brain_slices(11, lesion=False, count=3, rows=128)]
    answer = server.ask(*good, server.keep_bytes(b"x" * 500))
    assert answer.status is ResultStatus.OK
    assert "1 of 4 images were not read" in answer.quality


def test_a_flat_image_is_read_with_a_note_on_its_quality(server: ModelServer) -> None:
    ds = small_chest(12)
    ds.PixelData = bytes(len(ds.PixelData))
    answer = server.ask(server.keep(ds))
    assert answer.status is ResultStatus.OK
    assert any("flat" in note for note in answer.quality)


def test_a_secondary_capture_is_not_applicable(server: ModelServer) -> None:
    ds = small_chest(13)
    ds.ImageType = ["DERIVED", "SECONDARY"]
    answer = server.ask(server.keep(ds))
    assert (answer.status, answer.scores) == (ResultStatus.NOT_APPLICABLE, ())
    assert answer.reason == "the image is a secondary capture"


def test_damaged_bytes_at_rest_are_unavailable(server: ModelServer) -> None:
    reference = server.keep(small_chest(14))
    path = next((server.home / "store").rglob(reference["key"]))
    sealed = bytearray(path.read_bytes())
    sealed[-50] ^= 1
    path.write_bytes(sealed)
    answer = server.ask(reference)
    assert answer.status is ResultStatus.UNAVAILABLE
    assert (answer.reason or "").startswith("integrity: ")


def test_no_identifier_of_a_study_reaches_logs_metrics_or_answers(server: ModelServer) -> None:
    ds = small_chest(15)
    token = "Planted^Token"
    ds.PatientName, ds.PatientID, ds.AccessionNumber = token, "PLANTEDID", "PLANTEDACC"
    broken = small_chest(15)
    broken.PatientName, broken.PixelData = token, b"ab"
    said = [str(asdict(server.ask(server.keep(one)))) for one in (ds, broken)]
    said.append(server.http.post("/infer", json={"model": "PLANTEDID", "digest": 7}).text)
    said.append(server.http.post("/infer", json=server.question(server.keep_bytes(part10(ds)), model="PLANTEDID")).text)
    said += [server.http.get("/metrics").text, server.log]
    found = [word for word in ("Planted", "PLANTED", str(ds.StudyInstanceUID)) for text in said if word in text]
    assert found == []
