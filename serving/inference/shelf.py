"""The models that this process may answer with: verified bundles under `home/models/<name>/<digest>/`.

The ledger decides which digest is asked for; the shelf says whether that very digest is here, whole and signed by this
site's key. A bundle that was installed after the start is loaded when the runner wants it ready, before it may answer,
or when it is first asked for. Requests for others go on meanwhile: what is loaded is handed out without the lock.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

import structlog

from models.bundles import verify
from models.runtime import LoadedModel, load
from radloop.domain.errors import IntegrityError, NotFound, RadloopError
from serving.inference.golden import read_golden

log = structlog.get_logger(__name__)

WARMED: Final = 3
"""Versions of each model that are loaded at the start, newest first: champion, shadow and previous."""
IDLE_SECONDS: Final = 60.0
"""A version that is not wanted and was not asked for in this time is put away."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class UnknownDigest(NotFound):
    """No bundle of that name and digest is installed here."""

    code = "unknown-digest"


@dataclass(frozen=True, slots=True)
class Warmth:
    """Which versions are ready to be asked, and which are refused, with the code of the refusal."""

    ready: tuple[str, ...]
    refused: Mapping[str, str]


class Shelf:
    """Loaded models by name and digest. Safe to share between threads.

    `public` is the site's public key, PEM.
    """

    def __init__(self, root: Path, public: bytes) -> None:
        self._root = root
        self._public = public
        self._loaded: dict[tuple[str, str], LoadedModel] = {}
        self._asked: dict[tuple[str, str], float] = {}
        self._lock = Lock()

    def get(self, name: str, digest: str) -> LoadedModel:
        """The model, loaded and warmed up where this is the first time it is asked for. Blocks.

        Raises:
            UnknownDigest: it is not installed here.
            IntegrityError: it was changed, or this site's key did not sign it.
        """
        if known := self._loaded.get((name, digest)):
            self._asked[name, digest] = time.monotonic()
            return known
        if not (_NAME.fullmatch(name) and _DIGEST.fullmatch(digest)):
            raise UnknownDigest("the model's name or digest is malformed")
        with self._lock:
            if (name, digest) not in self._loaded:
                self._loaded[name, digest] = self._load(name, digest)
            self._asked[name, digest] = time.monotonic()
            return self._loaded[name, digest]

    def keep(self, name: str, digests: Sequence[str]) -> Warmth:
        """Have these versions of a model ready, and put away those that nobody wants or asks for. Blocks.

        A request that holds a version which is put away ends with it.
        """
        refused: dict[str, str] = {}
        for digest in digests:
            try:
                self.get(name, digest)
            except RadloopError as error:
                log.error("bundle refused", model=name, digest=digest, code=error.code)  # noqa: TRY400 - the code is the error
                refused[digest] = error.code
        self._put_away(name, digests)
        return Warmth(tuple(digest for digest in digests if digest not in refused), refused)

    def _put_away(self, name: str, wanted: Sequence[str]) -> None:
        since = time.monotonic() - IDLE_SECONDS
        with self._lock:
            for key in [key for key in self._loaded if key[0] == name and key[1] not in wanted]:
                if self._asked.get(key, since) <= since:
                    del self._loaded[key]
                    self._asked.pop(key, None)
                    log.info("bundle put away", model=key[0], digest=key[1])

    def warm_up(self) -> int:
        """Load what is installed, and say how much was; a bundle that cannot be trusted is left out and logged."""
        return sum(self._tried(*bundle) for bundle in self._installed())

    def _tried(self, name: str, digest: str) -> bool:
        try:
            self.get(name, digest)
        except RadloopError as error:
            log.error("bundle refused", model=name, digest=digest, code=error.code)  # noqa: TRY400 - the code is the error
            return False
        return True

    def _installed(self) -> Iterator[tuple[str, str]]:
        found = defaultdict(list)
        for folder in self._root.glob("*/*"):
            if _DIGEST.fullmatch(folder.name):
                found[folder.parent.name].append((folder.stat().st_mtime, folder.name))
        for name, versions in sorted(found.items()):
            yield from ((name, digest) for _, digest in sorted(versions, reverse=True)[:WARMED])

    def _load(self, name: str, digest: str) -> LoadedModel:
        folder = self._root / name / digest
        if not folder.is_dir():
            raise UnknownDigest("no such bundle is installed")
        if verify(folder, self._public) != digest:
            raise IntegrityError("the bundle is not what its folder says")
        model = load(folder)
        # What was loaded is what was verified, also where somebody wrote in between.
        if (model.spec.name, model.spec.digest) != (name, digest):
            raise IntegrityError("the bundle is not what its folder says")
        read_golden(model)
        log.info("bundle loaded", model=name, digest=digest)
        return model
