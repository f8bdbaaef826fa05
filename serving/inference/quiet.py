"""What libraries log, without what they log: their tracebacks and messages carry values of requests."""

import logging
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

NOISY: Final = ("bentoml", "uvicorn", "starlette", "asyncio", "opentelemetry")


class _PlaceOnly(logging.Handler):
    """Says which library warned, in which line, and of what kind the error was. Never the message."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        log.warning(
            "library",
            logger=record.name,
            where=f"{Path(record.pathname).name}:{record.lineno}",
            error=type(error).__name__ if error else None,
        )


def keep_libraries_quiet() -> None:
    """Route the standard library's logging to our log, place and kind only."""
    logging.root.handlers[:] = [_PlaceOnly(logging.WARNING)]
    logging.root.setLevel(logging.WARNING)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
