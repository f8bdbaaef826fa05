"""`python -m serving.console --home HOME`: the console, in the foreground."""

import argparse
import importlib
import logging
import sys
from pathlib import Path
from typing import Final

import structlog

from radloop import logs
from radloop.domain.errors import RadloopError
from radloop.process import die_with_parent
from radloop.settings import Settings, load_settings
from serving.console.listening import listening_socket

log = structlog.get_logger(__name__)

QUIET: Final = ("uvicorn", "fastapi", "starlette", "asyncio")


def main() -> int:
    """Run until SIGTERM or SIGINT; 0 after a clean end, 1 where the start failed."""
    arguments = _parser().parse_args()
    die_with_parent()
    logs.configure("console")
    for name in QUIET:  # their tracebacks carry values of requests; the guard names what failed
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        _run(load_settings(arguments.home.absolute()))
    except (RadloopError, OSError) as error:
        log.error("not started", reason=_reason(error))  # noqa: TRY400 - the reason is the error
        return 1
    return 0


def _run(settings: Settings) -> None:
    sock = listening_socket(settings.console.host, settings.console.port)
    # Slow to import: after the port was taken.
    server = importlib.import_module("serving.console.server")
    server.serve(settings, sock)


def _reason(error: RadloopError | OSError) -> str:
    return str(error) if isinstance(error, RadloopError) else f"{type(error).__name__}: {error.strerror}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.console", description="Run the console.")
    parser.add_argument("--home", type=Path, required=True, help="the folder that holds everything")
    return parser


if __name__ == "__main__":
    sys.exit(main())
