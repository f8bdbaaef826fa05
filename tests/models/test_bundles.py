import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models import bundles, signing
from models.catalog import catalog
from models.runtime import load
from radloop.domain.errors import IntegrityError
from tests.keys import SITE, STRANGER

PUBLIC = bundles.public_key(SITE)
SPEC = catalog()["cxr_pneumonia"]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    return bundles.install(SPEC.bundle, tmp_path / "models", SITE)


def test_an_installed_bundle_lies_under_its_digest_and_verifies(installed: Path) -> None:
    assert installed.name == SPEC.digest
    assert installed.parent.name == SPEC.name
    assert bundles.verify(installed, PUBLIC) == SPEC.digest
    assert [path.name for path in installed.parent.iterdir()] == [SPEC.digest], "no draft is left behind"


def test_installing_again_changes_nothing(installed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in installed.rglob("*")}
    assert bundles.install(SPEC.bundle, installed.parent.parent, SITE) == installed
    assert {path: path.stat().st_mtime_ns for path in installed.rglob("*")} == before


def tampered(bundle: Path) -> None:
    weights = bundle / "models" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)


def with_an_extra_file(bundle: Path) -> None:
    (bundle / "docs" / "more.md").write_text("more")


def without_a_file(bundle: Path) -> None:
    (bundle / "docs" / "card.md").unlink()


def with_a_pickle(bundle: Path) -> None:
    (bundle / "models" / "model.pt").write_bytes(pickle.dumps({"weights": 1}))


def with_a_link(bundle: Path) -> None:
    (bundle / "docs" / "card.md").unlink()
    (bundle / "docs" / "card.md").symlink_to("/etc/hostname")


def with_another_manifest(bundle: Path) -> None:
    with_an_extra_file(bundle)
    (bundle / "manifest.json").write_bytes(bundles.manifest(bundle))


def signed_by_a_stranger(bundle: Path) -> None:
    bundles.sign(bundle, STRANGER)


def unsigned(bundle: Path) -> None:
    (bundle / bundles.SIGNATURE).unlink()


def with_a_broken_manifest(bundle: Path) -> None:
    (bundle / "manifest.json").write_text("[]")


def with_a_second_signature(bundle: Path) -> None:
    (bundle / "docs" / bundles.SIGNATURE).write_bytes((bundle / bundles.SIGNATURE).read_bytes())


def with_another_bundle_s_signature(bundle: Path) -> None:
    other = bundles.install(catalog()["brain_mr_tumour"].bundle, bundle.parent.parent, SITE)
    (bundle / bundles.SIGNATURE).write_bytes((other / bundles.SIGNATURE).read_bytes())


def with_a_changed_statement(bundle: Path) -> None:
    """The statement lists the changed file, as an attacker would have it; the signature is the old one."""
    with_another_manifest(bundle)
    said = json.loads((bundle / bundles.SIGNATURE).read_text())
    bundles.sign(bundle, STRANGER)
    forged = json.loads((bundle / bundles.SIGNATURE).read_text())
    said["dsseEnvelope"]["payload"] = forged["dsseEnvelope"]["payload"]
    (bundle / bundles.SIGNATURE).write_text(json.dumps(said))


def signed_by_an_earlier_radloop(bundle: Path) -> None:
    (bundle / bundles.FORMER_SIGNATURE).write_bytes(bytes(64))


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (tampered, "does not match its manifest"),
        (with_an_extra_file, "the files that its manifest lists"),
        (without_a_file, "the files that its manifest lists"),
        (with_a_pickle, "not safetensors, JSON or Markdown"),
        (with_a_link, "a link"),
        (with_another_manifest, "not signed by this site's key"),
        (signed_by_a_stranger, "not signed by this site's key"),
        (with_another_bundle_s_signature, "not signed by this site's key"),
        (with_a_changed_statement, "not signed by this site's key"),
        (with_a_second_signature, "not safetensors, JSON or Markdown"),
        (unsigned, "there is no signature"),
        (with_a_broken_manifest, "no readable manifest"),
        (signed_by_an_earlier_radloop, "radloop init"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bundle_is_refused_when_it_is(installed: Path, harm: Callable[[Path], None], why: str) -> None:
    harm(installed)
    with pytest.raises(IntegrityError, match=why):
        bundles.verify(installed, PUBLIC)


@pytest.mark.parametrize(
    "signature",
    [
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"verificationMaterial": null}',
        b'{"verificationMaterial": {"publicKey": {"hint": null}}}',
        b'{"verificationMaterial": {}, "dsseEnvelope": null}',
        pickle.dumps({"signature": 1}),
    ],
    ids=range(10),
)
def test_a_signature_that_is_none_is_refused(installed: Path, signature: bytes) -> None:
    (installed / bundles.SIGNATURE).write_bytes(signature)
    with pytest.raises(IntegrityError, match="not signed by this site's key"):
        bundles.verify(installed, PUBLIC)


@pytest.mark.parametrize("part", ["mediaType", "verificationMaterial", "dsseEnvelope"])
@pytest.mark.parametrize("value", [None, 1, "", [], {}])
def test_a_signature_with_a_part_of_another_kind_is_refused(installed: Path, part: str, value: object) -> None:
    said = json.loads((installed / bundles.SIGNATURE).read_text())
    (installed / bundles.SIGNATURE).write_text(json.dumps({**said, part: value}))
    with pytest.raises(IntegrityError, match="not signed by this site's key"):
        bundles.verify(installed, PUBLIC)


def test_what_is_swapped_after_it_was_read_is_not_what_was_verified(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder on the disk is whole and signed; what was read from it a moment before is not."""
    good = dict(bundles.contents(installed))
    with_another_manifest(installed)
    read = dict(bundles.contents(installed))
    shutil.rmtree(installed / "docs")
    for path, data in good.items():
        (installed / path).parent.mkdir(exist_ok=True)
        (installed / path).write_bytes(data)
    assert bundles.verify(installed, PUBLIC) == SPEC.digest
    monkeypatch.setattr(bundles, "contents", lambda _: read)
    with pytest.raises(IntegrityError, match="not signed by this site's key"):
        bundles.verify(installed, PUBLIC)


def test_what_is_swapped_after_it_was_verified_is_not_loaded(installed: Path) -> None:
    digest = bundles.verify(installed, PUBLIC)
    tampered(installed)
    with pytest.raises(IntegrityError):
        load(installed)
    (installed / "manifest.json").write_bytes(bundles.manifest(installed))
    assert load(installed).spec.digest != digest, "who loads compares it with the verified digest"


def test_a_signed_statement_may_leave_nothing_out(installed: Path) -> None:
    files = {path: data for path, data in bundles.contents(installed).items() if path != bundles.SIGNATURE}
    some = {path: data for path, data in files.items() if path != "docs/card.md"}
    for left_out in ("docs/card.md", "docs"):
        with pytest.raises(IntegrityError, match="not signed by this site's key"):
            signing.verify(files, signing.sign(some, "part", left_out, SITE), PUBLIC)
    signing.verify(some, signing.sign(some, "part", "docs/card.md", SITE), PUBLIC)


def test_a_bundle_that_does_not_match_its_manifest_is_not_installed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(SPEC.bundle, source)
    tampered(source)
    with pytest.raises(IntegrityError):
        bundles.install(source, tmp_path / "models", SITE)
    assert not list((tmp_path / "models").rglob("*.safetensors"))


def test_a_harmed_installation_is_not_taken_for_good(installed: Path) -> None:
    tampered(installed)
    with pytest.raises(IntegrityError):
        bundles.install(SPEC.bundle, installed.parent.parent, SITE)


def test_a_name_that_is_a_path_installs_nothing(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(SPEC.bundle, source)
    card = source / "configs" / "card.json"
    card.write_text(card.read_text().replace('"cxr_pneumonia"', '"../../etc"'))
    (source / "manifest.json").write_bytes(bundles.manifest(source))
    with pytest.raises(IntegrityError):
        bundles.install(source, tmp_path / "models", SITE)


def test_what_was_checked_is_what_is_returned() -> None:
    files = bundles.contents(SPEC.bundle)
    assert hashlib.sha256(files["manifest.json"]).hexdigest() == SPEC.digest == bundles.digest(SPEC.bundle)
    assert bundles.manifest(SPEC.bundle) == files["manifest.json"]


def test_a_key_that_is_no_key_is_refused(tmp_path: Path) -> None:
    for key in (b"short", SITE[:-40]):
        with pytest.raises(IntegrityError, match="not a P-256 key"):
            bundles.install(SPEC.bundle, tmp_path, key)
        with pytest.raises(IntegrityError, match="not a P-256 key"):
            bundles.public_key(key)


@pytest.mark.parametrize("public", [b"", bytes(32), PUBLIC[:60], SITE], ids=["none", "raw", "cut", "private"])
def test_a_public_key_that_is_no_key_is_refused(installed: Path, public: bytes) -> None:
    with pytest.raises(IntegrityError, match="the public key is not"):
        bundles.verify(installed, public)


FORMER = bytes(range(32))


def as_an_earlier_radloop_left_it(bundle: Path, key: bytes = FORMER) -> None:
    """Ed25519 over the manifest, as it was before model-signing."""
    (bundle / bundles.SIGNATURE).unlink()
    signature = Ed25519PrivateKey.from_private_bytes(key).sign((bundle / "manifest.json").read_bytes())
    (bundle / bundles.FORMER_SIGNATURE).write_bytes(signature)


def test_what_the_former_key_signed_is_signed_again_and_the_old_signature_goes(installed: Path) -> None:
    as_an_earlier_radloop_left_it(installed)
    root = installed.parent.parent
    assert bundles.sign_again(root, FORMER, SITE) == ()
    assert bundles.verify(installed, PUBLIC) == SPEC.digest
    assert not (installed / bundles.FORMER_SIGNATURE).exists()
    assert bundles.sign_again(root, FORMER, SITE) == ()


def test_signing_again_goes_on_where_it_was_cut(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_an_earlier_radloop_left_it(installed)
    root = installed.parent.parent
    with monkeypatch.context() as cut:
        cut.setattr(Path, "unlink", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            bundles.sign_again(root, FORMER, SITE)
    assert (installed / bundles.FORMER_SIGNATURE).exists()
    assert bundles.sign_again(root, FORMER, SITE) == ()
    assert bundles.verify(installed, PUBLIC) == SPEC.digest


@pytest.mark.parametrize("harm", [tampered, with_an_extra_file, with_another_manifest, without_a_file])
def test_what_the_former_key_did_not_sign_is_never_signed(installed: Path, harm: Callable[[Path], None]) -> None:
    as_an_earlier_radloop_left_it(installed)
    former = (installed / bundles.FORMER_SIGNATURE).read_bytes()
    (installed / bundles.FORMER_SIGNATURE).unlink()
    harm(installed)
    (installed / bundles.FORMER_SIGNATURE).write_bytes(former)
    assert bundles.sign_again(installed.parent.parent, FORMER, SITE) == (installed,)
    with pytest.raises(IntegrityError, match="radloop init"):
        bundles.verify(installed, PUBLIC)


def test_what_a_stranger_s_former_key_signed_is_never_signed(installed: Path) -> None:
    as_an_earlier_radloop_left_it(installed, bytes(32))
    assert bundles.sign_again(installed.parent.parent, FORMER, SITE) == (installed,)
    assert not (installed / bundles.SIGNATURE).exists()
