"""The tables of radloop.toml that the console reads: where it listens, who comes in how, what may be uploaded."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from radloop.domain.access import Role
from radloop.settings.sections import Port, Seconds, Section, Tls

HttpsUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]


class ConsoleSettings(Section):
    """The web pages and the REST interface. Loopback unless a host is given."""

    host: str = Field("127.0.0.1", description="address that it binds to")
    port: Port = Field(8480, description="HTTP port (0: a free one)")
    enabled: bool = Field(True, description="whether `radloop up` starts it")
    tls: Tls | None = Field(None, description="TLS for the pages; absent: plain HTTP, for loopback only")
    url: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s/]+)?$")] = Field(
        "", description="how browsers reach it, e.g. https://radloop.example.org; empty: as they asked"
    )
    idle_minutes: Annotated[float, Field(gt=0, le=1440)] = Field(
        30.0, description="a session that nobody uses for so long ends"
    )
    session_hours: Annotated[float, Field(gt=0, le=168)] = Field(12.0, description="the longest that a session lasts")
    login_tries: int = Field(10, ge=1, description="failed logins per address and per name in five minutes")
    viewer: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s]+)?$")] = Field(
        "", description="the PACS viewer's URL with {study_uid} and {accession}; empty: no link"
    )
    blinded: bool = Field(False, description="readers give their verdict first, and see the AI's answer after it")


class Oidc(Section):
    """Single sign-on (OpenID Connect): authorisation code with PKCE."""

    issuer: HttpsUrl = Field(description="the provider's issuer URL")
    client_id: str = Field(description="our client id at the provider")
    client_secret_file: Path | None = Field(None, description="file with our client secret; absent: a public client")
    ca: Path | None = Field(None, description="the authority that the provider's certificate must come from (PEM)")
    scopes: tuple[str, ...] = Field(("openid", "profile", "email", "groups"), description="scopes that are asked for")
    name_claim: str = Field("preferred_username", description="claim that names the person, unique at the site")
    groups_claim: str = Field("groups", description="claim that lists the person's groups")


class Ldap(Section):
    """The directory (LDAP, Active Directory)."""

    url: Annotated[str, StringConstraints(pattern=r"^ldaps?://[^\s]+$")] = Field(
        description='e.g. "ldaps://ad.example.org"; ldap:// only with starttls'
    )
    starttls: bool = Field(False, description="begin TLS on a plain connection before anything is said")
    ca: Path | None = Field(None, description="the authority that its certificate must come from (PEM)")
    bind_dn: str = Field("", description="who looks people up; empty: anonymously")
    bind_password_file: Path | None = Field(None, description="file with that one's password")
    user_base: str = Field(description="where people are, e.g. ou=people,dc=example,dc=org")
    user_filter: str = Field(
        "(uid={name})", description="how somebody is found; in Active Directory (sAMAccountName={name})"
    )
    group_base: str = Field(description="where groups are")
    group_filter: str = Field(
        "(|(member={dn})(uniqueMember={dn}))", description="groups that somebody or some group is a member of"
    )
    group_attribute: str = Field("cn", description="attribute that names a group")
    disabled_filter: str = Field(
        "(|(userAccountControl:1.2.840.113556.1.4.803:=2)(pwdAccountLockedTime=*))",
        description="matches the entry of somebody who may not come in",
    )
    timeout_seconds: Seconds = Field(5.0, description="deadline for each answer of the directory")

    @model_validator(mode="after")
    def _never_in_the_clear(self) -> "Ldap":
        if self.url.startswith("ldap://") and not self.starttls:
            raise ValueError("passwords never cross the network in the clear: ldaps:// or starttls = true")
        return self


class LoginSettings(Section):
    """How people come in. Without oidc and ldap: by personal tokens (`radloop actor add`)."""

    oidc: Oidc | None = Field(None, description="single sign-on: [login.oidc]")
    ldap: Ldap | None = Field(None, description="the directory: [login.ldap]")
    groups: dict[str, tuple[Role, ...]] = Field(
        default_factory=dict,
        description="[login.groups]: a group of either, and the roles that it gives",
    )
    break_glass: bool = Field(
        False, description="local accounts with a password (`radloop actor password`), for when the directory is away"
    )


class UploadSettings(Section):
    """Images that are handed in by hand."""

    keep_hours: Annotated[float, Field(gt=0, le=8760)] = Field(24.0, description="uploads are deleted after this long")
    max_bytes: int = Field(512 << 20, ge=1 << 20, description="largest upload, in bytes")
    max_files: int = Field(2000, ge=1, description="most files in one upload, those inside of a ZIP counted")
