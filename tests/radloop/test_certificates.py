"""The authority for trials: what it makes is private, strong enough, and passes OpenSSL's strict verification."""

import stat
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from radloop.certificates import (
    AE_URN,
    AUTHORITY_DAYS,
    Subject,
    ae_uri,
    describe,
    is_authority,
    issue,
    keep,
    listed,
    read_chain,
)
from radloop.domain.errors import IntegrityError, NotFound, Rejected, StorageFull
from radloop.domain.ids import utc_now
from tests.peers.programs import need
from tests.peers.trial import Trial, trial


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return trial(tmp_path_factory.mktemp("trial") / "certs")


def test_keys_and_folder_are_the_owners_alone(ours: Trial) -> None:
    _ = ours.server
    assert stat.S_IMODE(ours.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in ours.folder.iterdir()} == {0o600}


def test_openssl_verifies_a_leaf_strictly_for_both_ends_of_a_connection(ours: Trial) -> None:
    for purpose in ("sslserver", "sslclient"):
        command = [need("openssl", "openssl"), "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(ours.ca)]
        done = subprocess.run([*command, str(ours.server.certificate)], capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr


def test_a_leaf_is_strong_short_lived_named_and_signs_nothing(ours: Trial) -> None:
    for one in (ours.server, ours.modality, ours.ris):
        certificate = read_chain(one.certificate)[0]
        key = certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        assert key.key_size >= 3072
        assert one.not_after - one.not_before <= timedelta(days=398)
        assert certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert not is_authority(certificate)
    assert is_authority(read_chain(ours.ca)[0])


def test_an_ae_title_stands_in_the_certificate_as_common_name_and_uri(ours: Trial) -> None:
    assert ours.modality.names == ("MODALITY", f"{AE_URN}MODALITY")


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="\\"), min_size=1, max_size=16))
def test_every_ae_title_makes_a_uri_of_uri_characters(title: str) -> None:
    assert set(ae_uri(title).removeprefix(AE_URN)) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%_.-~"
    )


def test_no_leaf_outlives_its_authority(tmp_path: Path) -> None:
    ours = trial(tmp_path)
    nearly = timedelta(days=500) - timedelta(days=AUTHORITY_DAYS - 20)
    leaf = ours.issued("late", hosts=("late",), ago=nearly)
    assert leaf.not_after <= describe(ours.ca).not_after


@pytest.mark.parametrize(
    "subject",
    [
        Subject(name="ca", hosts=("a",)),
        Subject(name="../escape", hosts=("a",)),
        Subject(name="Upper", hosts=("a",)),
        Subject(name="a", hosts=("a b",)),
        Subject(name="a", hosts=("-a",)),
        Subject(name="a", hosts=(), ae_title="SEVENTEEN LETTERS"),
        Subject(name="a", hosts=(), ae_title="BACK\\SLASH"),
    ],
    ids=str,
)
def test_what_is_no_name_is_rejected(ours: Trial, subject: Subject) -> None:
    with pytest.raises(Rejected):
        issue(ours.folder, subject, utc_now())


def test_without_an_authority_nothing_is_issued(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="radloop certs init"):
        issue(tmp_path, Subject(name="a", hosts=("a",)), utc_now())


def test_a_damaged_authority_is_said(tmp_path: Path) -> None:
    ours = trial(tmp_path)
    (tmp_path / "ca.key").write_bytes(ours.server.key.read_bytes())
    with pytest.raises(IntegrityError, match="not the one of its certificate"):
        issue(tmp_path, Subject(name="a", hosts=("a",)), utc_now())
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(IntegrityError, match="no certificate"):
        issue(tmp_path, Subject(name="a", hosts=("a",)), utc_now())


def test_a_folder_that_cannot_be_written_is_said_and_the_former_pair_stays(ours: Trial, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = issue(ours.folder, Subject(name="a", hosts=("a",)), utc_now())
    with pytest.raises(StorageFull):
        keep(tmp_path / "file", made)


def test_the_list_has_the_authority_first_then_this_host_then_the_peers(tmp_path: Path) -> None:
    ours = trial(tmp_path)
    _ = ours.modality, ours.server
    ours.issued("archive", hosts=("archive",))
    assert [one.name for one in listed(tmp_path)] == ["ca", "server", "archive", "modality"]
