"""DICOM bytes to identifiers, headers and arrays: limits first, pixels in a bounded child."""

from radloop.pixels.identity import parse_identity
from radloop.pixels.limits import Limits
from radloop.pixels.part10 import Part10, read_header, split
from radloop.pixels.pool import Decoded, DecodePool, decode

__all__ = [
    "DecodePool",
    "Decoded",
    "Limits",
    "Part10",
    "decode",
    "parse_identity",
    "read_header",
    "split",
]
