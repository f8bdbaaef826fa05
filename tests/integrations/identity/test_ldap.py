"""The directory, told by a real slapd."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from integrations.identity.directory import REASON, REASONS, escaped
from integrations.identity.ldap import WrongCredentials, authenticate
from radloop.domain.access import Identified
from radloop.domain.errors import Unavailable
from radloop.settings import Ldap
from tests.integrations.identity.people import LDIF, PASSWORD, PEOPLE, settings
from tests.peers.certificates import Certificates, certificates
from tests.peers.slapd import Slapd, slapd
from tests.peers.sockets import hostile, refusing, silent

pytest.importorskip("bonsai", reason="bonsai is compiled, and libldap was not there")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def directory(files: Certificates) -> Iterator[Slapd]:
    with slapd(files, LDIF) as running:
        yield running


@pytest.fixture
def ldap(directory: Slapd, files: Certificates, tmp_path: Path) -> Ldap:
    return settings(directory, files, tmp_path)


def refusal(ldap: Ldap, name: str, password: str = PASSWORD) -> str:
    with pytest.raises(WrongCredentials) as refused:
        authenticate(ldap, name, password)
    assert str(refused.value) == "the name or the password is wrong"
    return refused.value.why


def test_who_knows_the_password_is_who_the_directory_says_with_groups_of_groups(ldap: Ldap) -> None:
    found = authenticate(ldap, "Curie", PASSWORD)
    assert found == Identified(name="Curie", groups=("board", "clinicians", "house", "radiologists", "staff"))


def test_one_person_is_one_name_however_it_is_typed(ldap: Ldap) -> None:
    assert {authenticate(ldap, typed, PASSWORD).name for typed in ("curie", "CURIE", " Curie ")} == {"Curie"}


def test_names_beyond_ascii_and_dns_with_commas_and_stars_work(ldap: Ldap) -> None:
    assert authenticate(ldap, "röntgen", PASSWORD) == Identified(name="röntgen", groups=())
    assert "radiologists" in authenticate(ldap, "comma", PASSWORD).groups


def test_starttls_works_too(ldap: Ldap, directory: Slapd) -> None:
    begun = ldap.model_copy(update={"url": directory.plain_url, "starttls": True})
    assert authenticate(begun, "alone", PASSWORD) == Identified(name="alone", groups=())


def test_groups_may_list_names_instead_of_dns(ldap: Ldap) -> None:
    unix = ldap.model_copy(update={"group_filter": "(|(member={dn})(memberUid={name}))"})
    assert authenticate(unix, "meitner", PASSWORD).groups == ("unix",)


def test_groups_may_be_told_apart_by_their_whole_dn(ldap: Ldap) -> None:
    whole = ldap.model_copy(update={"group_attribute": "entryDN", "group_filter": "(uniqueMember={dn})"})
    assert authenticate(whole, "Curie", PASSWORD).groups == ("cn=board,ou=groups,dc=example,dc=org",)


def test_many_come_in_at_once(ldap: Ldap) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: authenticate(ldap, name, PASSWORD).name, ["Curie", "alone"] * 4))
    assert found == ["Curie", "alone"] * 4


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nobody", "unknown"),
        ("closed", "locked"),
        ("disabled", "disabled"),
        ("twin", "ambiguous"),
        ("two", "odd-name"),
        ("slash", "odd-dn"),
    ],
)
def test_who_may_not_come_in_reads_the_same_and_the_audit_learns_why(ldap: Ldap, name: str, why: str) -> None:
    assert refusal(ldap, name) == why


def test_a_wrong_password_is_refused_and_the_directory_locks_who_tries_on(ldap: Ldap) -> None:
    assert [refusal(ldap, "locked", "wrong") for _ in range(3)] == ["password"] * 3
    assert refusal(ldap, "locked") == "locked"


@pytest.mark.parametrize("name", ["*", "*)(uid=*", "Curie)(uid=*", "Cur*", "\\2a", "Curie)(|(uid=alone"])
def test_a_name_is_never_read_as_a_filter(ldap: Ldap, name: str) -> None:
    assert refusal(ldap, name) == "unknown"


@pytest.mark.parametrize(
    ("name", "password", "why"),
    [
        ("Curie", "", "empty-password"),
        ("Curie", "\0", "odd-input"),
        ("Curie", f"{PASSWORD}\0x", "odd-input"),
        ("Curie", "\ud800", "odd-input"),
        ("", "x", "odd-input"),
        ("Cur\nie", "x", "odd-input"),
        ("C" * 129, "x", "too-long"),
        ("Curie", "x" * 1025, "too-long"),
    ],
)
def test_what_must_not_reach_a_directory_does_not(name: str, password: str, why: str) -> None:
    nowhere = Ldap(url="ldaps://127.0.0.1:1", user_base=PEOPLE, group_base=PEOPLE)
    assert refusal(nowhere, name, password) == why


def test_an_empty_password_is_refused_where_the_directory_would_take_it(files: Certificates, tmp_path: Path) -> None:
    with slapd(files, LDIF, allow="allow bind_anon_cred bind_anon_dn") as lax:
        assert refusal(settings(lax, files, tmp_path), "Curie", "") == "empty-password"


def test_a_directory_that_is_away_is_not_a_wrong_password(ldap: Ldap) -> None:
    with refusing() as port, pytest.raises(Unavailable, match="ConnectionError"):
        authenticate(ldap.model_copy(update={"url": f"ldaps://127.0.0.1:{port}"}), "Curie", PASSWORD)


@pytest.mark.parametrize("scheme", ["ldaps", "ldap"])
def test_a_silent_directory_is_given_up_and_stops_nothing_else(ldap: Ldap, scheme: str) -> None:
    beats: list[float] = []
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.02):
            beats.append(time.monotonic())

    heart = threading.Thread(target=beat)
    with hostile(silent) as port:
        slow = ldap.model_copy(
            update={"url": f"{scheme}://127.0.0.1:{port}", "starttls": scheme == "ldap", "timeout_seconds": 0.8}
        )
        heart.start()
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"did not answer in time|TimeoutError"):
            authenticate(slow, "Curie", PASSWORD)
        assert time.monotonic() - begun < 5
        stop.set()
        heart.join()
    assert max(after - before for before, after in pairwise(beats)) < 0.5


@pytest.mark.parametrize("starttls", [False, True])
def test_a_directory_of_another_authority_is_not_believed(
    ldap: Ldap, directory: Slapd, tmp_path: Path, *, starttls: bool
) -> None:
    foreign = certificates(tmp_path)
    url = directory.plain_url if starttls else directory.url
    with pytest.raises(Unavailable):
        authenticate(ldap.model_copy(update={"ca": foreign.ca, "url": url, "starttls": starttls}), "Curie", PASSWORD)


def test_a_certificate_for_another_host_is_not_believed(ldap: Ldap) -> None:
    elsewhere = ldap.url.replace("127.0.0.1", "localhost")
    with pytest.raises(Unavailable, match="ConnectionError"):
        authenticate(ldap.model_copy(update={"url": elsewhere}), "Curie", PASSWORD)


def test_the_password_is_not_sent_before_tls_begins(ldap: Ldap) -> None:
    heard: list[bytes] = []

    def listen(sock: socket.socket, stop: threading.Event) -> None:
        while data := sock.recv(65536):
            heard.append(data)
            # RFC 4511 section 4.14.2: protocolError, "not supported here".
            sock.sendall(bytes.fromhex("300c02010178070a01020400 0400".replace(" ", "")))

    with hostile(listen) as port:
        begun = ldap.model_copy(update={"url": f"ldap://127.0.0.1:{port}", "starttls": True})
        with pytest.raises(Unavailable):
            authenticate(begun, "Curie", PASSWORD)
    said = b"".join(heard)
    assert b"1.3.6.1.4.1.1466.20037" in said
    assert PASSWORD.encode() not in said
    assert b"looks people up" not in said


def test_a_refused_service_account_is_hospital_its_matter(ldap: Ldap, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.secret"
    wrong.write_text("wrong")
    with pytest.raises(Unavailable, match="bind_dn"):
        authenticate(ldap.model_copy(update={"bind_password_file": wrong}), "Curie", PASSWORD)


@pytest.mark.parametrize("kept", [None, "", "\n"])
def test_a_service_account_without_a_password_never_becomes_nobody(
    ldap: Ldap, tmp_path: Path, kept: str | None
) -> None:
    file = tmp_path / "empty.secret"
    if kept is not None:
        file.write_text(kept)
    with pytest.raises(Unavailable, match="bind_password_file"):
        authenticate(ldap.model_copy(update={"bind_password_file": file}), "Curie", PASSWORD)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"user_filter": "(objectClass=person)"}, "user_filter"), ({"ca": Path("/nowhere/ca.pem")}, "ca")],
)
def test_settings_that_do_not_fit_are_said(ldap: Ldap, changes: dict[str, object], words: str) -> None:
    with pytest.raises(Unavailable, match=words):
        authenticate(ldap.model_copy(update=changes), "Curie", PASSWORD)


def test_values_in_a_filter_are_escaped() -> None:
    assert escaped("a*(b)\\c\0é,") == "a\\2a\\28b\\29\\5cc\\00é,"


def test_active_directorys_own_reasons_are_read() -> None:
    said = "80090308: LdapErr: DSID-0C090446, comment: AcceptSecurityContext error, data 533, v2580"
    found = REASON.search(said)
    assert found is not None
    assert REASONS[found[1]] == "disabled"


def test_where_bonsai_could_not_be_compiled_that_is_said(ldap: Ldap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.identity.ldap.find_spec", lambda _: None)
    with pytest.raises(Unavailable, match="bonsai is not installed"):
        authenticate(ldap, "Curie", PASSWORD)


def test_a_crash_in_c_is_one_login_that_failed(ldap: Ldap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.identity.ldap.sys.executable", "/bin/false")
    with pytest.raises(Unavailable, match="status 1"):
        authenticate(ldap, "Curie", PASSWORD)
