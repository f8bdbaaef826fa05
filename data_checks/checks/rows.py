"""Rows (0028,0010)."""

from data_checks.check import Check, Range

CHECK = Check(
    name="rows",
    column="rows",
    rule=Range(low=32, high=16384),
    promise="an image has 32 to 16,384 rows",
)
