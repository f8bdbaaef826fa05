"""How much one file may ask for. Everything is checked before it is allocated."""

from dataclasses import dataclass
from typing import Final

from radloop.domain.errors import TooLarge

MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes are in bytes, `seconds` is wall-clock time for one decode.

    `frame` and `frames_together` are of decoded pixels as stored; `memory` is the address space of the
    decoding process, its own code included; `elements` and `depth` bound a header.
    """

    rows: int = 32_768
    columns: int = 32_768
    frames: int = 65_536
    frame: int = 128 * MIB
    frames_together: int = 512 * MIB
    file: int = 1024 * MIB
    inflated: int = 640 * MIB
    memory: int = 3072 * MIB
    seconds: float = 30.0
    elements: int = 200_000
    depth: int = 32


DEFAULT: Final = Limits()


def refuse_above(found: int, most: int, what: str) -> None:
    """Stop where a limit is exceeded.

    Raises:
        TooLarge: `found` is more than `most`.
    """
    if found > most:
        raise TooLarge(f"{what}: {found} is more than the limit of {most}")
