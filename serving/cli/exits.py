"""What an exit code means."""

from enum import IntEnum

from radloop.domain.errors import IntegrityError, NotFound, RadloopError, SettingsError, Transient


class Exit(IntEnum):
    """The exit codes of `radloop`."""

    OK = 0
    """done"""
    FAILED = 1
    """tried, and at least one part did not work"""
    USAGE = 2
    """the command line or radloop.toml is wrong"""
    NOT_READY = 3
    """not running, not ready, or something it needs is away: try again later"""
    NOT_FOUND = 4
    """no such study, delivery, actor, peer, model or schedule"""
    INTEGRITY = 5
    """bytes at rest or the audit were changed"""


MEANING: tuple[tuple[type[RadloopError], Exit], ...] = (
    (SettingsError, Exit.USAGE),
    (NotFound, Exit.NOT_FOUND),
    (IntegrityError, Exit.INTEGRITY),
    (Transient, Exit.NOT_READY),
    (RadloopError, Exit.FAILED),
)

EXPLAINED = "Exit codes: " + ", ".join(
    f"{code.value} {text}"
    for code, text in (
        (Exit.OK, "done"),
        (Exit.FAILED, "at least one part failed"),
        (Exit.USAGE, "wrong command line or radloop.toml"),
        (Exit.NOT_READY, "not running, not ready or away"),
        (Exit.NOT_FOUND, "no such thing"),
        (Exit.INTEGRITY, "bytes at rest or the audit were changed"),
    )
)


def code_of(error: RadloopError) -> Exit:
    """The exit code that an error ends the command with."""
    return next(code for kind, code in MEANING if isinstance(error, kind))
