"""Logs: one JSON object a line on stderr, with our own ids and codes, never patient data.

pydicom and pynetdicom put values of data sets into their messages and warnings, so they are silenced here: what
matters of them comes out as our own errors.
"""

import logging
import sys
import warnings

import structlog

SILENCED = ("pydicom", "pynetdicom", "highdicom", "hl7apy", "httpx", "httpcore", "pylibjpeg", "alembic")


def configure(process: str) -> None:
    """Set up structlog for this process; every line carries `process`."""
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
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)
