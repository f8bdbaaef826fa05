"""Columns (0028,0011)."""

from data_checks.check import Check, Range

CHECK = Check(
    name="columns",
    column="columns",
    rule=Range(low=32, high=16384),
    promise="an image has 32 to 16,384 columns",
)
