"""What the page Operations shows, looked up once for all who watch it."""

import threading
import time
from datetime import timedelta
from typing import Final

from fastapi import Request

from flows import standstill, storage_forecast
from flows.house import House
from flows.standstill import Seen
from flows.storage_forecast import StorageForecast
from radloop.domain.ids import utc_now
from radloop.ledger import stalled, throughput
from serving.console.live import Pulse
from serving.supervisor.board import read_board
from serving.supervisor.seen import processes_of

FRESH_SECONDS: Final = 1.0
"""A look that is younger is shown to the next one who asks."""
LOOK_SECONDS: Final = 2.0
FORECAST_SECONDS: Final = 600.0
"""A forecast of weeks is made anew after this long: it adds up what came in."""
DAY: Final = timedelta(days=1)


class ControlRoom:
    """One look at the house for everybody, and a pulse that tells when another one is worth it."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._turn = threading.Lock()
        self._seen: Seen | None = None
        self._until = 0.0
        self._forecast: StorageForecast | None = None
        self._forecast_until = 0.0
        self.pulse = Pulse(self.stamp, LOOK_SECONDS)

    def look(self) -> Seen:
        """What is seen now, at most a second old. Blocks."""
        with self._turn:
            if self._seen is None or time.monotonic() > self._until:
                house = self._house
                processes = processes_of(read_board(house.settings.home))
                self._seen = standstill.look(house.settings, house.ledger, processes)
                self._until = time.monotonic() + FRESH_SECONDS
            return self._seen

    def forecast(self) -> StorageForecast:
        """How long the disk lasts, at most ten minutes old. Blocks.

        Raises:
            Unavailable: the ledger's.
            StorageFull: the store's disk cannot be asked.
        """
        with self._turn:
            if self._forecast is None or time.monotonic() > self._forecast_until:
                self._forecast = storage_forecast.forecast(self._house)
                self._forecast_until = time.monotonic() + FORECAST_SECONDS
            return self._forecast

    def stamp(self) -> str:
        """Changes when the page would: with the ledger's counts, the processes, and every minute.

        Raises:
            Unavailable: the ledger's.
        """
        now = utc_now()
        board = [(entry.name, entry.state) for entry in read_board(self._house.settings.home)]
        with self._house.ledger.read() as conn:
            studies = throughput.open_studies(conn)
            traffic = throughput.traffic(conn, self._house.settings.peers, now - DAY)
            aside = stalled.set_aside(conn, now - DAY, now)
        return f"{now:%H%M}{hash((tuple(board), tuple(studies.items()), repr(traffic), aside)):x}"


def control_room_of(request: Request) -> ControlRoom:
    """The one of this application."""
    room: ControlRoom = request.app.state.control_room
    return room
