"""Bits Stored (0028,0101)."""

from data_checks.check import Check, Range

CHECK = Check(
    name="bits_stored",
    column="bits_stored",
    rule=Range(low=8, high=16),
    promise="a sample has 8 to 16 bits",
)
