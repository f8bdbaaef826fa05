"""Rows (0028,0010) of an image are there: without them nothing can be decoded."""

from data_checks.check import Check, Present

CHECK = Check(
    name="matrix_present",
    column="rows",
    rule=Present(share=1.0),
    promise="every image has a number of rows",
)
