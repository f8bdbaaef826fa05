"""Pixel Spacing (0028,0030), or what stands for it, in millimetres."""

from data_checks.check import Check, Range

CHECK = Check(
    name="spacing",
    column="spacing",
    rule=Range(low=0.01, high=5.0),
    promise="a pixel is 0.01 to 5 mm high",
)
