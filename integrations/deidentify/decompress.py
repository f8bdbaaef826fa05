"""Uncompressed pixels of a file, made in a bounded child: `python -m integrations.deidentify.decompress LIMITS`.

The file comes in by stdin and goes out by stdout. Masking needs the stored values of all frames, which
`radloop.pixels` does not give: it answers with one frame of modality values.
"""

import json
import resource
import subprocess
import sys
from dataclasses import asdict
from io import BytesIO

import pydicom
from pydicom.dataset import Dataset

from integrations.deidentify.refusals import Unsearchable
from radloop.pixels import Limits
from radloop.pixels.part10 import read_with_pixels
from radloop.process import die_with_parent


def decompressed(data: bytes, limits: Limits) -> Dataset:
    """The data set of a Part 10 file with its pixels as Explicit VR Little Endian.

    Raises:
        Unsearchable: no decoder could read them within the limits.
    """
    arguments = [sys.executable, "-m", "integrations.deidentify.decompress", json.dumps(asdict(limits))]
    try:
        done = subprocess.run(arguments, input=data, capture_output=True, timeout=4 * limits.seconds, check=False)
    except subprocess.TimeoutExpired:
        raise Unsearchable("the pixels were not decoded in time") from None
    if done.returncode:
        raise Unsearchable("the pixels could not be decoded")
    return read_with_pixels(done.stdout, limits)


def main(limits: Limits) -> None:
    """Read, decompress, write."""
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ds = read_with_pixels(sys.stdin.buffer.read(), limits)
    ds.decompress(generate_instance_uid=False)
    out = BytesIO()
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    sys.stdout.buffer.write(out.getvalue())


if __name__ == "__main__":
    main(Limits(**json.loads(sys.argv[1])))
