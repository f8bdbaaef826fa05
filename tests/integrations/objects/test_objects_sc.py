"""The picture: what is drawn, what it is drawn from, and what it says of itself."""

import numpy as np
import pytest
from pydicom import Dataset

from integrations.objects.context import AnswerContext
from integrations.objects.sc import ENCODER
from radloop.domain.errors import InvalidObject
from radloop.render import Legend, overlay
from tests.integrations.objects import answers, reading


def picture(ctx: AnswerContext) -> Dataset:
    (obj,) = ENCODER.encode(ctx)
    ENCODER.validate(obj, ctx)
    return reading.dicom(obj)


def test_the_pixels_are_the_rendering_of_the_most_probable_finding_without_loss() -> None:
    ctx = answers.context([answers.NEGATIVE, answers.finding()])
    legend = Legend(
        finding="Pneumonia",
        probability=0.9213,
        threshold=0.5,
        model="Chest radiograph pneumonia",
        version="1.2.0",
        qualification=ctx.result.model.qualification,
    )
    expected = overlay(ctx.pictures["picture"], ctx.pictures["heatmap"], legend)
    assert np.array_equal(picture(ctx).pixel_array, expected)


def test_it_is_derived_with_text_burned_in() -> None:
    ds = picture(answers.context())
    assert ds.ImageType == ["DERIVED", "SECONDARY"]
    assert ds.BurnedInAnnotation == "YES"
    assert (ds.PhotometricInterpretation, ds.SamplesPerPixel, ds.BitsStored) == ("RGB", 3, 8)


def test_it_names_every_image_read_the_one_shown_first() -> None:
    images = [answers.header(SOPInstanceUID=f"{answers.ROOT}.2.{n}") for n in (1, 2, 3)]
    ds = picture(answers.context([answers.finding(instance_id="in_2")], sources=images))
    named = [item.ReferencedSOPInstanceUID for item in ds.SourceImageSequence]
    assert named == [f"{answers.ROOT}.2.{n}" for n in (2, 1, 3)]


def test_what_was_lossy_stays_said_to_be() -> None:
    source = answers.header(
        LossyImageCompression="01", LossyImageCompressionRatio="9.5", LossyImageCompressionMethod="ISO_10918_1"
    )
    ds = picture(answers.context(sources=[source]))
    assert (ds.LossyImageCompression, ds.LossyImageCompressionRatio) == ("01", 9.5)
    assert picture(answers.context()).LossyImageCompression == "00"


def test_without_a_picture_there_is_no_object() -> None:
    with pytest.raises(InvalidObject, match="no finding has a picture"):
        ENCODER.encode(answers.context(pictures={}))
