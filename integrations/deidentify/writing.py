"""A data set to the bytes of a Part 10 file."""

from io import BytesIO

import pydicom
from pydicom.dataset import Dataset

from integrations.deidentify.marks import file_meta
from radloop.pixels.part10 import parsing


def part10(ds: Dataset, transfer_syntax_uid: str) -> bytes:
    """128 zero bytes, a new file meta, the data set, and nothing after it (PS3.10 7.1).

    Raises:
        Unparsable: a value cannot be written.
    """
    ds.file_meta = file_meta(ds, transfer_syntax_uid)
    ds.preamble = bytes(128)
    out = BytesIO()
    with parsing():
        pydicom.dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()
