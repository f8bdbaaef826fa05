"""Slice Thickness (0018,0050) of sections, in millimetres."""

from data_checks.check import Check, Range

CHECK = Check(
    name="thickness",
    column="thickness",
    rule=Range(low=0.1, high=20.0),
    promise="a section is 0.1 to 20 mm thick",
    modalities=("CT", "MR"),
)
