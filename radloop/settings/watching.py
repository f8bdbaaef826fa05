"""The tables of radloop.toml that watching reads: what is borne before an alarm opens, and who is told of one."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from radloop.settings.sections import Seconds, Section

Share = Annotated[float, Field(ge=0, le=1)]
Mail = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]


class WatchSettings(Section):
    """What the watch over live traffic bears before an alarm opens."""

    least: int = Field(
        10, ge=2, description="studies of one scanner (deliveries of one peer) from which a broken rule is an alarm"
    )
    delivery_share: Share = Field(0.95, description="share of the deliveries that their peer takes, and takes in time")
    delivery_seconds: Seconds = Field(300.0, description="a delivery is in time when it is taken within this")


class NotifySettings(Section):
    """Who is told of an alarm. No message names a patient or a study's identifiers."""

    smtp_host: str | None = Field(None, description="mail server; absent: nobody gets mail")
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = Field(587, description="its port")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description='how the connection is kept secret; "none" only to this machine'
    )
    smtp_ca: Path | None = Field(
        None, description="authority of the mail server's certificate (PEM); absent: the system's"
    )
    smtp_user: str = Field("", description="user name there; empty: none is given")
    smtp_password_file: Path | None = Field(None, description="file with the password")
    sender: Mail | None = Field(None, description="address that the mails come from")
    recipients: tuple[Mail, ...] | None = Field(None, description="addresses that the mails go to")
    webhook: Annotated[str, StringConstraints(pattern=r"^https?://")] | None = Field(
        None, description="URL that gets a POST (JSON) per alarm; absent: none"
    )
    webhook_secret_file: Path | None = Field(
        None, description="file with the secret of its signature (X-Radloop-Signature: sha256=HMAC of time.body)"
    )
    timeout_seconds: Seconds = Field(10.0, description="deadline of one try")
    give_up_seconds: Seconds = Field(3 * 86400.0, description="a notice is tried for this long, then dropped")
    link: str = Field("", description="base URL that messages point to; empty: none")

    @model_validator(mode="after")
    def _mail_has_ends(self) -> "NotifySettings":
        if self.smtp_host and not (self.sender and self.recipients):
            raise ValueError("mail needs smtp_host, sender and recipients")
        if self.smtp_security == "none" and self.smtp_host not in (None, "127.0.0.1", "::1", "localhost"):
            raise ValueError('smtp_security: "none" is for a server on this machine only')
        if self.webhook and self.webhook_secret_file is None:
            raise ValueError("a webhook needs webhook_secret_file")
        return self
