import hashlib
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models import bundles
from models.catalog import catalog
from radloop.domain.errors import IntegrityError

SITE, STRANGER = bytes(range(32)), bytes(range(1, 33))
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


def test_the_same_key_signs_the_same_bytes(installed: Path) -> None:
    first = (installed / bundles.SIGNATURE).read_bytes()
    assert bundles.sign(installed, SITE) == first
    assert len(first) == 64


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


@pytest.mark.parametrize(
    "harm",
    [
        tampered,
        with_an_extra_file,
        without_a_file,
        with_a_pickle,
        with_a_link,
        with_another_manifest,
        signed_by_a_stranger,
        unsigned,
        with_a_broken_manifest,
    ],
    ids=lambda harm: harm.__name__,
)
def test_a_bundle_is_refused_when_it_is(installed: Path, harm: Callable[[Path], None]) -> None:
    harm(installed)
    with pytest.raises(IntegrityError):
        bundles.verify(installed, PUBLIC)


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
    with pytest.raises(IntegrityError):
        bundles.install(SPEC.bundle, tmp_path, b"short")
