"""What costs a network's memory or minutes is done by our own command, in a process that ends after it."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from radloop.domain.errors import NotFound, RadloopError, Unavailable
from radloop.settings import child_environment
from serving.cli.exits import Exit

SECONDS: Final = 240.0


class CommandFailed(RadloopError):
    """A command of ours did not do what it was asked; its log says why."""

    code = "command-failed"


def file_of(home: Path, arguments: Sequence[str]) -> bytes:
    """What `radloop ARGUMENTS -o FILE` writes.

    Raises:
        NotFound: there is no such thing.
        Unavailable: something it needs is away, or it took too long.
        CommandFailed: anything else.
    """
    with tempfile.TemporaryDirectory(prefix="radloop-") as folder:
        file = Path(folder) / "out"
        argv = [sys.executable, "-m", "serving.cli", *arguments, "--home", str(home), "-o", str(file)]
        try:
            done = subprocess.run(argv, env=child_environment({}), capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Unavailable("it took too long") from None
        if done.returncode == Exit.NOT_FOUND:
            raise NotFound("there is no such thing")
        if done.returncode == Exit.NOT_READY:
            raise Unavailable("something that it needs is away")
        if done.returncode != Exit.OK:
            raise CommandFailed(f"{arguments[0]} ended with {done.returncode}")
        return file.read_bytes()
