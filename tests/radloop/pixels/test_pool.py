import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from radloop.domain.errors import Rejected, TooLarge, Unavailable, Undecodable
from radloop.pixels import DecodePool, Limits
from tests.radloop.pixels import samples

PARENT = """
import sys
from radloop.pixels import DecodePool
pool = DecodePool(2)
pool.decode(open(sys.argv[1], "rb").read())
print(*(slot._child.result().process.pid for slot in pool._free.queue), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(1, Limits(seconds=10)) as pool:
        yield pool


def child_of(pool: DecodePool) -> int:
    return pool._free.queue[0]._child.result().process.pid


def test_every_bundled_file_decodes_or_is_refused(pool: DecodePool) -> None:
    pid = child_of(pool)
    decoded = 0
    for path in samples.bundled():
        try:
            image = pool.decode(path.read_bytes())
        except Rejected:
            continue
        assert image.pixels.dtype == np.float32
        assert image.pixels.ndim == 2
        assert np.isfinite(image.pixels).all()
        decoded += 1
    assert decoded > 80
    assert child_of(pool) == pid


def test_stored_values_come_out_as_modality_values(pool: DecodePool) -> None:
    ds = samples.image(RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=[40, 50], WindowWidth=[400, 500])
    image = pool.decode(samples.encode(ds))
    np.testing.assert_array_equal(image.pixels, np.arange(48, dtype=np.float32).reshape(8, 6) * 2 - 1000)
    assert (image.window_center, image.window_width, image.bits_stored) == (40.0, 400.0, 12)


def test_the_frame_that_was_asked_for_comes_out(pool: DecodePool) -> None:
    image = pool.decode(samples.encode(samples.image(frames=3)), frame=2)
    assert (image.frames, image.frame, image.pixels[0, 0]) == (3, 2, 96.0)
    assert pool.decode(samples.encode(samples.image(frames=3)), frame=None).frame == 1
    with pytest.raises(Undecodable):
        pool.decode(samples.encode(samples.image(frames=3)), frame=3)


def test_monochrome1_stays_as_stored_and_says_so(pool: DecodePool) -> None:
    image = pool.decode(samples.encode(samples.image(PhotometricInterpretation="MONOCHROME1")))
    assert (image.photometric, image.pixels[0, 1]) == ("MONOCHROME1", 1.0)


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_ybr_full_422_uncompressed.dcm"])
def test_colour_comes_out_as_luminance(pool: DecodePool, name: str) -> None:
    image = pool.decode(samples.bundled_file(name))
    # The first bar is pure red: 0.299 of 255.
    assert image.pixels[5, 50] == pytest.approx(0.299 * 255, abs=1.5)


BOMBS = {
    "rows": {"Rows": 65535, "Columns": 8},
    "a frame": {"Rows": 30000, "Columns": 30000},
    "all frames": {"Rows": 5000, "Columns": 5000, "NumberOfFrames": 60000},
    "frames": {"NumberOfFrames": 2**31 - 1},
}


@pytest.mark.parametrize("claims", BOMBS.values(), ids=BOMBS)
def test_a_header_that_asks_for_too_much_is_refused_before_anything_is_allocated(
    pool: DecodePool, claims: dict[str, int]
) -> None:
    pid = child_of(pool)
    with pytest.raises(TooLarge):
        pool.decode(samples.encode(samples.image(**claims)))  # type: ignore[arg-type]
    assert child_of(pool) == pid
    assert psutil.Process(pid).memory_info().rss < 400 << 20


def test_a_frame_count_that_lies_is_undecodable(pool: DecodePool) -> None:
    with pytest.raises(Undecodable, match="fewer frames"):
        pool.decode(samples.encode(samples.image(NumberOfFrames=5)))
    ds = samples.image(NumberOfFrames=5)
    ds.file_meta.TransferSyntaxUID = RLELossless
    ds.PixelData = encapsulate([b"\0" * 64])
    ds["PixelData"].VR = "OB"
    with pytest.raises(Undecodable, match="fewer frames"):
        pool.decode(samples.encode(ds))


def test_a_deflate_bomb_is_too_large() -> None:
    with DecodePool(1, Limits(inflated=1 << 20)) as pool, pytest.raises(TooLarge):
        pool.decode(samples.file_of(samples.deflate(bytes(8 << 20)), samples.DEFLATED))


def test_a_decode_that_outgrows_its_memory_is_refused_and_the_pool_goes_on() -> None:
    with DecodePool(1, Limits(memory=320 << 20)) as pool:
        with pytest.raises(Undecodable):
            pool.decode(samples.encode(samples.image(rows=5000, columns=5000)))
        assert pool.decode(samples.encode(samples.image())).pixels.shape == (8, 6)


def test_a_child_killed_midway_is_undecodable_and_the_pool_goes_on() -> None:
    with DecodePool(1, Limits(seconds=20)) as pool:
        pid = child_of(pool)
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
        with pytest.raises(Undecodable):
            pool.decode(samples.encode(samples.image()))
        assert pool.decode(samples.encode(samples.image())).pixels.shape == (8, 6)
        assert not psutil.pid_exists(pid)


def test_a_child_that_died_while_idle_costs_no_decode() -> None:
    with DecodePool(1) as pool:
        os.kill(child_of(pool), signal.SIGKILL)
        time.sleep(0.1)
        assert pool.decode(samples.encode(samples.image())).pixels.shape == (8, 6)


def test_a_child_that_hangs_is_ended_at_the_deadline() -> None:
    with DecodePool(1, Limits(seconds=0.5)) as pool:
        os.kill(child_of(pool), signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(Undecodable):
            pool.decode(samples.encode(samples.image()))
        assert time.monotonic() - began < 5


def test_close_ends_every_child() -> None:
    pool = DecodePool(2)
    pids = [slot._child.result().process.pid for slot in pool._free.queue]
    pool.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(Unavailable):
        pool.decode(samples.encode(samples.image()))


def test_children_outlive_the_thread_that_asked_for_pixels() -> None:
    with DecodePool(1) as pool:
        data = samples.encode(samples.image())
        thread = threading.Thread(target=pool.decode, args=(data,))
        thread.start()
        thread.join()
        pid = child_of(pool)
        pool.decode(data)
        assert child_of(pool) == pid


def test_children_die_with_their_parent_even_by_kill_9(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(samples.encode(samples.image()))
    command = [sys.executable, "-c", PARENT, str(tmp_path / "image")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
        parent.wait(10)
        gone, alive = psutil.wait_procs(children, timeout=10)
    assert (len(gone), alive) == (2, [])


def test_sixteen_threads_share_two_children() -> None:
    with DecodePool(2) as pool:
        data = [samples.encode(samples.image(RescaleIntercept=number, RescaleSlope=1)) for number in range(16)]
        found: dict[int, float] = {}

        def one(number: int) -> None:
            found[number] = float(pool.decode(data[number]).pixels[0, 0])

        threads = [threading.Thread(target=one, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {number: float(number) for number in range(16)}


def test_a_refusal_holds_no_patient_data(pool: DecodePool) -> None:
    data = samples.encode(samples.image())
    for cut in range(140, len(data) - 1, 53):
        with pytest.raises(Rejected) as caught:
            pool.decode(data[:cut])
        assert samples.TOKEN not in str(caught.value)
