"""The side of a region in a paired organ."""

from radloop.domain.enums import Laterality

Box = tuple[float, float, float, float]
MIDDLE = (0.45, 0.55)


def laterality(box: Box, columns: int) -> Laterality:
    """The patient's side of a box (left, top, right, bottom) on a picture of `columns` pixels.

    Frontal radiographs and axial slices are shown with the patient's right on the picture's left
    (PS3.3 C.7.6.1.1.1, Patient Orientation L at the right edge). A box across the midline is BILATERAL.
    """
    left, right = box[0] / columns, box[2] / columns
    centre = (left + right) / 2
    if left < MIDDLE[0] and right > MIDDLE[1] and MIDDLE[0] <= centre <= MIDDLE[1]:
        return Laterality.BILATERAL
    return Laterality.RIGHT if centre < 0.5 else Laterality.LEFT
