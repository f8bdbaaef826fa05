"""`python -m serving.gateway --home HOME [--name NAME] [--index N]`: one gateway process, in the foreground."""

import argparse
import gc
import signal
import sys
import threading
from pathlib import Path

import pydicom.config
import structlog

from radloop import logs
from radloop.domain.errors import RadloopError
from radloop.process import die_with_parent
from radloop.settings import load_settings
from serving.gateway.gateway import Gateway, Place

log = structlog.get_logger(__name__)


def main() -> int:
    """Run until SIGTERM or SIGINT; 0 after a clean end, 1 where the start failed."""
    arguments = _parser().parse_args()
    die_with_parent()
    # A sender proposes some hundred UIDs: pydicom's check of each only warns, and costs more than an instance.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logs.configure(arguments.name)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        gateway = Gateway(load_settings(arguments.home), Place(arguments.name, arguments.index))
        gateway.start()
        # What the imports left is never garbage: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
    except (RadloopError, OSError) as error:
        log.error("not started", reason=_reason(error))  # noqa: TRY400 - the reason is the error
        return 1
    ended.wait()
    gateway.stop()
    return 0


def _reason(error: RadloopError | OSError) -> str:
    return str(error) if isinstance(error, RadloopError) else f"{type(error).__name__}: {error.strerror}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.gateway", description="Run one gateway process.")
    parser.add_argument("--home", type=Path, required=True, help="the folder that holds everything")
    parser.add_argument("--name", default="gateway", help="its name in `radloop status`")
    parser.add_argument("--index", type=int, default=0, help="0 for the first process, which also has the HL7 port")
    return parser


if __name__ == "__main__":
    sys.exit(main())
