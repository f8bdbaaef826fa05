"""The gateway of one process: its doors, and everything behind them."""

import ssl
import time
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from pynetdicom.ae import ApplicationEntity

from radloop.domain.errors import SettingsError
from radloop.domain.ids import derive_uid
from radloop.ledger import Ledger
from radloop.process import announced
from radloop.settings import GatewaySettings, Settings
from radloop.store import Keyring, LocalStore
from radloop.tls import server_context
from serving.gateway.admission import Doorkeeper
from serving.gateway.aside import Quarantine
from serving.gateway.association import Acceptor, Services
from serving.gateway.commitment import CommitmentAnswers
from serving.gateway.committer import Committer
from serving.gateway.denials import Denials
from serving.gateway.listener import Connection, Limits, Listener, bind
from serving.gateway.mllp import MllpService
from serving.gateway.part10 import VERSION_NAME, FileMeta
from serving.gateway.readiness import Door, Readiness
from serving.gateway.reconcile import Sweeper
from serving.gateway.storage import Storage

log = structlog.get_logger(__name__)

GRACE_SECONDS: Final = 10.0
FIRST_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Which of the gateway processes this is, and what it is called."""

    name: str = "gateway"
    index: int = 0


class Gateway:
    """Opens the doors, and closes them in order."""

    def __init__(self, settings: Settings, place: Place) -> None:
        self._settings = settings
        self._place = place
        self._store = LocalStore(settings.store_path, Keyring.load(settings.keys_path))
        self._ledger = Ledger(settings.ledger_url, busy_seconds=settings.ledger.busy_seconds)
        self._committer = Committer(self._ledger)
        self._readiness = Readiness(settings.home, partial(_probe, self._store, self._ledger))
        self._sweeper = Sweeper(self._store, self._ledger)
        self._doorkeeper = Doorkeeper(settings.peers)
        self._quarantine = Quarantine(self._store, self._ledger)
        self._listeners: list[Listener] = []

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports that are open: DICOM, and HL7 where this process has it."""
        return tuple(listener.port for listener in self._listeners)

    def start(self) -> None:
        """Open the doors and announce them.

        Raises:
            OSError: a port is taken.
            SettingsError: a TLS file cannot be used, or our certificate is out of its time.
        """
        tls = server_context(self._settings, "gateway")
        doors = [Door(self._place.name, self._open(self._dicom_listener(tls)))]
        if self._place.index == 0:
            doors.append(Door(f"{self._place.name}.hl7", self._open(self._hl7_listener(tls))))
            self._sweeper.start()
        self._readiness.ready(doors)
        log.info("ready", ports=[door.port for door in doors])

    def stop(self) -> None:
        """Close the doors, finish what began, give everything back."""
        self._readiness.stop()
        self._sweeper.stop()
        for listener in self._listeners:
            listener.stop(GRACE_SECONDS)
        self._ledger.close()
        log.info("stopped")

    def _open(self, listener: Listener) -> int:
        self._listeners.append(listener)
        listener.start()
        return listener.port

    def _dicom_listener(self, tls: ssl.SSLContext | None) -> Listener:
        gateway = self._settings.gateway
        sock = bind(gateway.host, self._dicom_port(), shared=gateway.processes > 1)
        return Listener(sock, self._dicom_serve(), _limits(gateway), tls)

    def _dicom_serve(self) -> "DicomService":
        root = self._settings.site.uid_root
        file_meta = FileMeta(derive_uid(root, "implementation"))
        storage = Storage(self._store, self._committer, self._quarantine, self._readiness, file_meta)
        tries = self._settings.delivery.content_tries
        commitment = CommitmentAnswers(self._ledger, self._readiness, tries)
        services = Services(storage, commitment, Denials(self._ledger))
        return DicomService(self._settings, self._doorkeeper, services)

    def _hl7_listener(self, tls: ssl.SSLContext | None) -> Listener:
        gateway = self._settings.gateway
        serve = MllpService(self._settings, self._doorkeeper, self._ledger, self._quarantine, self._readiness)
        return Listener(bind(gateway.host, gateway.hl7_port, shared=False), serve, _limits(gateway), tls)

    def _dicom_port(self) -> int:
        """The port of the setting; where that is 0, the one that the first process took."""
        gateway = self._settings.gateway
        if gateway.dicom_port or self._place.index == 0:
            return gateway.dicom_port
        until = time.monotonic() + FIRST_SECONDS
        while time.monotonic() < until:
            first = announced(self._settings.home, first_name(self._place))
            if first is not None and first.port:
                return first.port
            time.sleep(0.05)
        raise SettingsError("gateway.dicom_port is 0 and the first gateway process has not said which it took")


class DicomService:
    """Serves one DICOM connection."""

    def __init__(self, settings: Settings, doorkeeper: Doorkeeper, services: Services) -> None:
        self._settings = settings.gateway
        self._doorkeeper = doorkeeper
        self._services = services
        self._entity = ApplicationEntity(self._settings.ae_title)
        self._entity.implementation_class_uid = derive_uid(settings.site.uid_root, "implementation")
        self._entity.implementation_version_name = VERSION_NAME

    def __call__(self, connection: Connection) -> None:
        """Run the association to its end."""
        Acceptor(self._entity, connection, self._settings, self._doorkeeper, self._services).serve()


def first_name(place: Place) -> str:
    """The name of the first of several processes: the others carry a number after it."""
    return place.name.rpartition("-")[0]


def _limits(gateway: GatewaySettings) -> Limits:
    return Limits(gateway.max_pending_per_address, gateway.max_associations, gateway.pdu_deadline_seconds)


def _probe(store: LocalStore, ledger: Ledger) -> None:
    store.delete(store.put(bytes(1 << 16)).key)
    with ledger.write():
        pass
