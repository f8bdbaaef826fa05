"""Active Directory, told by Samba."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integrations.identity.ldap import WrongCredentials, authenticate
from radloop.settings import Ldap
from tests.peers.certificates import Certificates, certificates
from tests.peers.samba import SUFFIX, Samba, samba

pytest.importorskip("bonsai", reason="bonsai is compiled, and libldap was not there")
pytestmark = [pytest.mark.campaign, pytest.mark.timeout(300)]

PASSWORD = "Radium-226 & Polonium"
IN_CHAIN = "(member:1.2.840.113556.1.4.1941:={dn})"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def domain(files: Certificates) -> Iterator[Samba]:
    with samba(files) as running:
        for name in ("looker", "Curie", "left", "fresh", "gone"):
            running.do("user", "create", name, PASSWORD)
        for name in ("radiologists", "clinicians", "staff"):
            running.do("group", "add", name)
        running.do("group", "addmembers", "radiologists", "Curie")
        running.do("group", "addmembers", "clinicians", "radiologists")
        running.do("group", "addmembers", "staff", "clinicians")
        running.do("group", "addmembers", "clinicians", "staff")  # a cycle
        running.do("user", "disable", "left")
        running.do("user", "setpassword", "fresh", f"--newpassword={PASSWORD}2", "--must-change-at-next-login")
        running.do("user", "setexpiry", "gone", "--days=-1")
        yield running


@pytest.fixture
def ldap(domain: Samba, files: Certificates, tmp_path: Path) -> Ldap:
    secret = tmp_path / "looker.secret"
    secret.write_text(PASSWORD)
    return Ldap(
        url=domain.url,
        ca=files.ca,
        bind_dn=f"CN=looker,CN=Users,{SUFFIX}",
        bind_password_file=secret,
        user_base=f"CN=Users,{SUFFIX}",
        user_filter="(sAMAccountName={name})",
        group_base=f"CN=Users,{SUFFIX}",
    )


@pytest.mark.parametrize("group_filter", ["(member={dn})", IN_CHAIN])
def test_groups_of_groups_come_by_our_walk_and_by_the_directorys_own(ldap: Ldap, group_filter: str) -> None:
    found = authenticate(ldap.model_copy(update={"group_filter": group_filter}), "CURIE", PASSWORD)
    assert (found.name, found.groups) == ("Curie", ("clinicians", "radiologists", "staff"))


@pytest.mark.parametrize(
    ("name", "password", "why"),
    [
        ("Curie", "wrong", "password"),
        ("Curie", "", "empty-password"),
        ("nobody", PASSWORD, "unknown"),
        ("left", PASSWORD, "disabled"),
        ("fresh", f"{PASSWORD}2", "must-change"),
        ("gone", PASSWORD, "expired"),
        ("*)(sAMAccountName=Curie", PASSWORD, "unknown"),
    ],
)
def test_active_directory_says_why_and_only_the_audit_learns(ldap: Ldap, name: str, password: str, why: str) -> None:
    with pytest.raises(WrongCredentials) as refused:
        authenticate(ldap, name, password)
    assert (str(refused.value), refused.value.why) == ("the name or the password is wrong", why)
