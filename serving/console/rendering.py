"""From a template to an answer. Everything is escaped; what a template does not know is an error, not an empty text."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from flows.encoding import SOFTWARE_VERSION
from flows.house import House
from radloop.domain.access import Who
from radloop.domain.ids import utc_now
from serving.console.headers import NONCE
from serving.console.navigation import pages_for

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"
THEMES: Final = ("dark", "light")


def render(request: Request, who: Who | None, template: str, /, status: int = 200, **context: object) -> HTMLResponse:
    """The page of a template (or a fragment of one), for this person, in the site's time zone."""
    return HTMLResponse(render_text(request, who, template, **context), status_code=status)


def render_text(request: Request, who: Who | None, template: str, /, **context: object) -> str:
    """As `render`, the text alone."""
    house: House = request.app.state.house
    chosen = request.cookies.get("theme", "")
    return (
        _environment()
        .get_template(template)
        .render(
            who=who,
            pages=pages_for(who) if who else (),
            path=request.url.path,
            nonce=request.scope["state"][NONCE],
            csrf=who.csrf if who else "",
            theme=chosen if chosen in THEMES else THEMES[0],
            site=house.settings.site.name,
            zone=_zone(house.settings.site.timezone),
            software=SOFTWARE_VERSION,
            now=utc_now(),
            **context,
        )
    )


@cache
def static_files() -> Mapping[str, bytes]:
    """What is served under /static, by name."""
    return {path.name: path.read_bytes() for path in STATIC.iterdir() if path.is_file()}


def static_url(name: str) -> str:
    """Its address, which changes with its content: it may be kept for ever."""
    return f"/static/{name}?v={_digest(name)}"


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(static_files()[name]).hexdigest()[:16]


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["static"] = static_url
    made.filters.update(moment=moment, clock=clock, waited=waited, percent=percent, size=size, words=words)
    return made


def moment(at: datetime | None, zone: ZoneInfo) -> str:
    """`2026-03-01 13:00:05`, in the site's zone; a dash for none."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") if at else "\N{EN DASH}"


def clock(at: datetime | None, zone: ZoneInfo) -> str:
    """`13:00`, in the site's zone; a dash for none."""
    return at.astimezone(zone).strftime("%H:%M") if at else "\N{EN DASH}"


def waited(since: datetime | timedelta | None, now: datetime | None = None) -> str:
    """How long ago, in one unit or two: `45 s`, `12 min`, `3 h 05`, `2 d 4 h`."""
    if since is None:
        return "\N{EN DASH}"
    seconds = int((since if isinstance(since, timedelta) else (now or utc_now()) - since).total_seconds())
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60:02}"
    return f"{minutes} min" if minutes else f"{max(seconds, 0)} s"


def percent(share: float | None, digits: int = 0) -> str:
    """`0.914` as `91 %`; a dash for none."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%" if share is not None else "\N{EN DASH}"


def size(count: float | None) -> str:
    """Bytes in the unit that fits: `3.2 GB`."""
    if count is None:
        return "\N{EN DASH}"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def words(name: str) -> str:
    """`LEAD_READER` as `lead reader`."""
    return name.replace("_", " ").replace("-", " ").lower()


DOCUMENT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-downloads"


def document(html: str) -> HTMLResponse:
    """A page that is styled by itself (a card, a report, a check's page): it runs nothing and fetches nothing."""
    return HTMLResponse(html, headers={"Content-Security-Policy": DOCUMENT_POLICY})
