"""The pages that there are, for whom, and the key that opens each (after `g`)."""

from dataclasses import dataclass
from typing import Final

from radloop.domain.access import Permission, Who


@dataclass(frozen=True, slots=True)
class Page:
    """One entry of the navigation."""

    path: str
    title: str
    key: str
    permission: Permission


PAGES: Final = (
    Page("/worklist", "Worklist", "w", Permission.VIEW_STUDIES),
    Page("/upload", "Upload", "u", Permission.UPLOAD),
    Page("/operations", "Operations", "o", Permission.VIEW_OPERATIONS),
    Page("/models", "Models", "m", Permission.VIEW_MODELS),
    Page("/drift", "Drift and audits", "d", Permission.VIEW_DRIFT),
    Page("/lineage", "Lineage", "l", Permission.VIEW_LINEAGE),
    Page("/adoption", "Adoption", "p", Permission.VIEW_PATTERNS),
    Page("/audit", "Audit", "a", Permission.VIEW_AUDIT),
    Page("/access", "Access", "x", Permission.ADMINISTER),
)


def pages_for(who: Who) -> tuple[Page, ...]:
    """Those that this person may open, in their order."""
    return tuple(page for page in PAGES if who.may(page.permission))
