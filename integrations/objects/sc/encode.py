"""Secondary Capture Image (PS3.3 A.8.1): what a reader sees where nothing but pictures can be shown."""

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from integrations.objects.context import AnswerContext
from integrations.objects.dicomfile import coded, created, dress, encoded, validate_file
from integrations.objects.sc import codes
from integrations.objects.source import Image, Source, read_source
from integrations.objects.values import plain
from radloop.domain.enums import ObjectKind, ResultStatus
from radloop.domain.errors import InvalidObject
from radloop.domain.records import EncodedObject, Finding
from radloop.render import Legend, overlay


class ScEncoder:
    """RESULTS.md, Pictures."""

    kind = ObjectKind.SC
    statuses = frozenset({ResultStatus.OK})

    def encode(self, ctx: AnswerContext) -> tuple[EncodedObject, ...]:
        """One picture, of the most probable finding.

        Raises:
            InvalidObject: no finding has a picture.
        """
        source = read_source(ctx)
        finding = _shown(ctx)
        ds = Dataset()
        ds.SOPClassUID = SecondaryCaptureImageStorage
        ds.Modality = codes.MODALITY
        dress(ds, ctx, source, ObjectKind.SC)
        _set_image(ds, ctx, source)
        _set_references(ds, source, finding)
        _set_pixels(ds, _drawn(ctx, finding))
        return (encoded(ds, ctx, ObjectKind.SC),)

    def validate(self, obj: EncodedObject, ctx: AnswerContext) -> None:
        """By dciodvfy.

        Raises:
            InvalidObject: the file breaks PS3.3.
        """
        validate_file(obj, ctx)


ENCODER = ScEncoder()


def _shown(ctx: AnswerContext) -> Finding:
    pictured = [f for f in ctx.result.findings if {f.picture_key, f.heatmap_key} <= ctx.pictures.keys()]
    if not pictured:
        raise InvalidObject(f"{ctx.result.id}: no finding has a picture and its heatmap")
    return max(pictured, key=lambda f: f.probability)


def _drawn(ctx: AnswerContext, finding: Finding) -> NDArray[np.uint8]:
    """(H, W, 3), 0..255."""
    legend = Legend(
        finding=plain(finding.code.meaning),
        probability=finding.probability,
        threshold=finding.threshold,
        model=plain(ctx.title),
        version=plain(ctx.result.model.version),
        qualification=ctx.result.model.qualification,
    )
    return overlay(ctx.pictures[finding.picture_key or ""], ctx.pictures[finding.heatmap_key or ""], legend)


def _set_image(ds: Dataset, ctx: AnswerContext, source: Source) -> None:
    """SC equipment, SC image and general image modules (C.8.6.1, C.8.6.2, C.7.6.1)."""
    moment = created(ctx, source)
    ds.ConversionType = codes.CONVERSION_TYPE
    ds.DateOfSecondaryCapture = moment.strftime("%Y%m%d")
    ds.TimeOfSecondaryCapture = moment.strftime("%H%M%S")
    ds.ImageType = codes.IMAGE_TYPE
    # Type 2C, both: the picture and its legend have no orientation and no side of their own.
    ds.PatientOrientation = ""
    ds.Laterality = ""
    ds.BurnedInAnnotation = "YES"
    ds.DerivationDescription = codes.DERIVATION


def _set_references(ds: Dataset, source: Source, finding: Finding) -> None:
    """The images read, the shown one first; what was lossy in them stays said."""
    shown = source.image(finding.instance_id)
    others = [image for image in source.images if image is not shown]
    images = [shown, *others] if shown else others
    if images:
        ds.SourceImageSequence = [_reference(image) for image in images]
    ds.LossyImageCompression = codes.LOSSY if any(image.lossy for image in images) else codes.LOSSLESS
    lossy = next((image for image in images if image.lossy and image.lossy_ratios and image.lossy_methods), None)
    if lossy is not None:
        ds.LossyImageCompressionRatio = list(lossy.lossy_ratios)
        ds.LossyImageCompressionMethod = list(lossy.lossy_methods)


def _reference(image: Image) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = image.sop_class_uid
    item.ReferencedSOPInstanceUID = image.sop_uid
    item.PurposeOfReferenceCodeSequence = [coded(codes.SOURCE_IMAGE)]
    return item


def _set_pixels(ds: Dataset, rgb: NDArray[np.uint8]) -> None:
    """Image pixel module (C.7.6.3): RGB, colour by pixel, not compressed."""
    ds.SamplesPerPixel = 3
    ds.PhotometricInterpretation = "RGB"
    ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = rgb.shape[:2]
    ds.BitsAllocated = ds.BitsStored = codes.BITS
    ds.HighBit = codes.BITS - 1
    ds.PixelRepresentation = 0
    data = rgb.tobytes()
    # PS3.5 section 8.1.1: the value has an even length.
    ds.add_new("PixelData", "OB", data + b"\0" * (len(data) % 2))
