"""What one look at a window came to, before anything of it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from radloop.domain.watching import Sighting
from radloop.ledger.checks import CheckOutcome

MOVED: Final = "moved"
"""The check of a cause that moved what a known scanner sends; one alarm may tell several such columns."""

Told = frozenset[tuple[str, str, str]]
"""(site, device, column) that a cause explains already."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Outcomes to be listed, sightings to be alarms, pages (HTML) by name, and what the sightings explain."""

    outcomes: tuple[CheckOutcome, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    pages: Mapping[str, str] = field(default_factory=dict)
    told: Told = frozenset()

    def __add__(self, other: "Seen") -> "Seen":
        """Both, in this order."""
        return Seen(
            self.outcomes + other.outcomes,
            self.sightings + other.sightings,
            {**self.pages, **other.pages},
            self.told | other.told,
        )
