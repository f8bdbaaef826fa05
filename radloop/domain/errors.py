"""One tree of errors, split by what the caller does.

RadloopError
├── Transient            retry with back-off
│   ├── Unavailable        a peer, a server or the ledger is away, slow or busy
│   └── StorageFull        no space or I/O error: 0xA700, HL7 AE, HTTP 507
├── Permanent            park, tell a person
│   ├── RefusedByPeer      the peer said no for good
│   │   └── ContentError     it found an error in the content: three tries, then park
│   ├── InvalidObject      an object of ours broke its own contract: never sent
│   ├── IntegrityError     bytes at rest or a bundle do not match their digest or signature
│   └── NotFound           no such study, result, delivery, actor, model or key
└── Rejected             bad input: quarantine it, answer the protocol's own error
    ├── Unparsable         not the format it claims to be
    ├── MismatchedIdentity the data set contradicts the request (SOP class or instance UID)
    ├── DuplicateConflict  same UID, other bytes
    ├── TooLarge           a limit was exceeded before anything was allocated
    ├── Undecodable        pixels that no decoder could read within its limits
    └── SettingsError      radloop.toml is wrong: file, line, key, what was expected

Messages name our own surrogate ids and codes, never a patient, a UID or an accession number.
"""

from typing import ClassVar


class RadloopError(Exception):
    """Root of everything radloop raises on purpose. `code` is stable and safe to log."""

    code: ClassVar[str] = "error"


class Transient(RadloopError):
    """Try again later: nothing is wrong with the content."""

    code = "transient"


class Unavailable(Transient):
    """A peer, a server or the ledger is away, slow or busy.

    `retry_after` is the wait in seconds that the peer asked for, where it did.
    """

    code = "unavailable"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageFull(Transient):
    """No space, or an I/O error, on the way to durable storage."""

    code = "storage-full"


class Permanent(RadloopError):
    """Trying again will not help: a person has to decide."""

    code = "permanent"


class RefusedByPeer(Permanent):
    """The peer refused for good."""

    code = "refused-by-peer"


class ContentError(RefusedByPeer):
    """The peer found an error in the content (HL7 AE or CE): at most three tries, then park."""

    code = "content-error"


class InvalidObject(Permanent):
    """An object that we made breaks its own contract. It is never sent."""

    code = "invalid-object"


class IntegrityError(Permanent):
    """Bytes at rest, or a bundle, do not match their digest or signature."""

    code = "integrity"


class NotFound(Permanent):
    """No such thing under that id."""

    code = "not-found"


class Rejected(RadloopError):
    """Bad input. It is quarantined and answered with the protocol's own error."""

    code = "rejected"


class Unparsable(Rejected):
    """Not the format it claims to be."""

    code = "unparsable"


class MismatchedIdentity(Rejected):
    """The data set contradicts the request that carried it."""

    code = "mismatched-identity"


class DuplicateConflict(Rejected):
    """The same UID with other bytes: never overwritten."""

    code = "duplicate-conflict"


class TooLarge(Rejected):
    """A limit was exceeded before anything was allocated."""

    code = "too-large"


class Undecodable(Rejected):
    """No decoder could read the pixels within its limits."""

    code = "undecodable"


class SettingsError(Rejected):
    """radloop.toml is wrong; the message gives file, line, key and what was expected."""

    code = "settings"
