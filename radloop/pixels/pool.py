"""Decodes in bounded children: what a bomb can take is one child and one deadline, never this process."""

import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from queue import LifoQueue
from typing import Self

import numpy as np
from numpy.typing import NDArray

from radloop.pixels.limits import DEFAULT, Limits, refuse_above
from radloop.pixels.slot import Answer, Buffer, Slot, Wanted


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Decoded:
    """One decoded frame.

    `pixels`: (rows, columns) float32, rows down, modality values (PS3.3 C.11.1); colour is luminance, 0 to the
    stored maximum. `photometric` is MONOCHROME1 (low is bright) or MONOCHROME2. The window is the first one of the
    header, in modality values, None where there is none. `samples` is 3 for a colour image that was asked for as such:
    `pixels` then are (3 x rows, columns), red above green above blue.
    """

    pixels: NDArray[np.float32]
    frames: int
    frame: int
    photometric: str
    bits_stored: int
    window_center: float | None
    window_width: float | None
    samples: int = 1


class DecodePool:
    """Up to `size` children, started at once and reused. Safe to share between threads.

    Calls block: inside an event loop, call from a worker thread.
    """

    def __init__(self, size: int = 1, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        # The kernel takes the thread that started a child for its parent (prctl(2), PR_SET_PDEATHSIG), so children
        # are started by one thread that lives as long as the pool, not by whichever thread asks for pixels.
        starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode-starter")
        slots = tuple(Slot(starter, limits) for _ in range(size))
        self._free: LifoQueue[Slot] = LifoQueue()
        for slot in slots:
            self._free.put(slot)
        self._finalizer = weakref.finalize(self, _close, slots, starter)

    def decode(self, data: Buffer, frame: int | None = 0) -> Decoded:
        """Decode one frame of a Part 10 file; None takes the middle one.

        Raises:
            TooLarge: the file or its header asks for more than the limits.
            Undecodable: no decoder could read it, or none within its memory and time.
            Unavailable: no child could be started.
        """
        return self._decode(data, Wanted(frame))

    def decode_coloured(self, data: Buffer, frame: int | None = 0) -> Decoded:
        """As `decode`, but a colour image comes as its three planes.

        Raises:
            TooLarge, Undecodable, Unavailable: as `decode`.
        """
        return self._decode(data, Wanted(frame, colour=True))

    def close(self) -> None:
        """End every child. Callers that still decode get Undecodable, later ones Unavailable."""
        self._finalizer()

    def _decode(self, data: Buffer, wanted: Wanted) -> Decoded:
        refuse_above(len(data), self._limits.file, "bytes in the file")
        slot = self._free.get()
        try:
            answer, pixels = slot.decode(data, wanted)
        finally:
            self._free.put(slot)
        return _decoded(answer, pixels)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def decode(data: Buffer, frame: int | None = 0, limits: Limits = DEFAULT) -> Decoded:
    """As `DecodePool.decode`, with one child per process and set of limits.

    Raises:
        TooLarge: as `DecodePool.decode`.
        Undecodable: as `DecodePool.decode`.
        Unavailable: as `DecodePool.decode`.
    """
    return _shared(limits).decode(data, frame)


@lru_cache
def _shared(limits: Limits) -> DecodePool:
    return DecodePool(1, limits)


def _close(slots: tuple[Slot, ...], starter: ThreadPoolExecutor) -> None:
    for slot in slots:
        slot.end()
    starter.shutdown()


def _decoded(answer: Answer, pixels: NDArray[np.float32]) -> Decoded:
    return Decoded(
        pixels=pixels,
        frames=int(answer["frames"] or 1),
        frame=int(answer["frame"] or 0),
        photometric=str(answer["photometric"]),
        bits_stored=int(answer["bits_stored"] or 0),
        window_center=_number(answer["window_center"]),
        window_width=_number(answer["window_width"]),
        samples=int(answer["samples"] or 1),
    )


def _number(value: float | str | None) -> float | None:
    return None if value is None else float(value)
