"""The tables of radloop.toml that audits read: who leads the readers, and the site's own rates for the business."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from radloop.settings.sections import Address, Seconds, Section


class Syslog(Section):
    """An audit record repository: every sealed record goes there too (PS3.15 A.5, RFC 5425: syslog over TLS)."""

    address: Address = Field(description='"host:port", usually port 6514')
    ca: Path | None = Field(None, description="the authority that its certificate must come from (PEM)")
    certificate: Path | None = Field(None, description="our certificate chain (PEM), where it asks for one")
    key: Path | None = Field(None, description="our private key (PEM)")
    timeout_seconds: Seconds = Field(10.0, description="deadline for connecting and for each write")


class AuditSettings(Section):
    """Who may see what in audits, and where else the record of who did what is kept."""

    lead_readers: tuple[str, ...] = Field(
        (), description="actors who may see every reader's own page (`radloop report readers`); others see theirs alone"
    )
    syslog: Syslog | None = Field(None, description="an audit record repository: [audit.syslog]; absent: none")


class RoiSettings(Section):
    """The site's own rates for `radloop roi`. There are no defaults: what is not given is not reckoned with."""

    currency: str = Field("", max_length=8, description='of all amounts, e.g. "EUR"')
    reader_hour_cost: Annotated[float, Field(gt=0)] | None = Field(
        None, description="what an hour of a reader costs the site, in that currency"
    )
    minutes_saved_per_study: Annotated[float, Field(ge=-60, le=60)] | None = Field(
        None, description="minutes that a reader saves on a study that a model answered, as the site measured it"
    )
    minutes_lost_per_override: Annotated[float, Field(ge=0, le=240)] | None = Field(
        None, description="extra minutes that a study takes where the reader overrides a model"
    )
    cost_per_year: Annotated[float, Field(ge=0)] | None = Field(
        None, description="all that running radloop costs in a year: machines, licences, people"
    )
