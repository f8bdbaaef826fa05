"""Logs: one JSON object a line on stderr, with our own ids and codes, never patient data.

pydicom and pynetdicom put values of data sets into their messages and warnings, so they are silenced here: what
matters of them comes out as our own errors.
"""

import logging
import os
import sys
import warnings
from contextlib import suppress
from typing import TextIO

import structlog

SILENCED = ("pydicom", "pynetdicom", "highdicom", "hl7apy", "httpx", "httpcore", "pylibjpeg", "alembic")


def configure(process: str, least: int = logging.INFO) -> None:
    """Set up structlog for this process; every line carries `process`. Nothing below the level `least` is written."""
    for name in SILENCED:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)
    for name in ("pydicom", "pynetdicom", "highdicom", "hl7apy"):
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _naming(process),  # not a context variable: threads do not inherit those
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(_Tolerant(sys.stderr)),  # type: ignore[arg-type]
    )


def _naming(process: str) -> structlog.typing.Processor:
    def add(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**event, "process": process}

    return add


class _Tolerant:
    """A stream that drops what it cannot write: a full disk under the log must not fail the work that is logged."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write at once, or not at all."""
        with suppress(OSError):
            os.write(self._stream.fileno(), text.encode(errors="backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""
