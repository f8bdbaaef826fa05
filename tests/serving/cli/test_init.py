import re
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from models.bundles import MANIFEST, SIGNATURE, public_key, verify
from models.catalog import catalog
from radloop.domain.errors import IntegrityError
from radloop.ledger import models
from radloop.ledger.tables import audit_events
from radloop.settings import load_settings
from radloop.store import Keyring
from serving.cli import template
from serving.cli.desk import Desk, system_user
from serving.cli.exits import Exit
from serving.cli.setup import prepare
from tests.serving.cli.conftest import cli


def test_the_home_and_its_keys_are_the_owners_alone(desk: Desk) -> None:
    assert stat.S_IMODE(desk.home.stat().st_mode) == 0o700
    keys = list((desk.home / "keys").iterdir())
    assert len(keys) >= 3
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert stat.S_IMODE((desk.home / "radloop.toml").stat().st_mode) == 0o600


def test_init_again_changes_no_file_that_is_there(desk: Desk) -> None:
    (desk.home / "radloop.toml").write_text("# mine\n[gateway]\nae_title = 'MINE'\n")
    before = {path: path.read_bytes() for path in desk.home.rglob("*") if path.suffix in (".key", ".toml")}
    result = cli(desk, "init")
    assert result.exit_code == 0, result.output
    assert "left as it is" in result.output
    assert {path: path.read_bytes() for path in before} == before


def test_the_user_who_ran_init_is_an_actor_and_the_audit_says_so(desk: Desk) -> None:
    with desk.reading() as conn:
        rows = conn.execute(select(audit_events.c.action, audit_events.c.actor)).all()
    assert ("actor.add", "radloop") in [tuple(row) for row in rows]
    assert system_user() in cli(desk, "actor", "list").output


def test_init_installs_signs_and_registers_every_model_of_the_zoo_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "home")
    for _ in range(2):
        prepare(desk)
    with desk.reading() as conn:
        known = models.known(conn)
    assert {m.name: m.digest for m in known} == {spec.name: spec.digest for spec in catalog().values()}
    assert {m.standing for m in known} == {"CHAMPION"}
    public = public_key(Keyring.load(desk.settings.keys_path).signing_key)
    for model in known:
        assert verify(desk.settings.models_path / model.name / model.digest, public) == model.digest
    desk.ledger.close()


def test_a_home_of_an_earlier_radloop_says_what_to_type_and_init_signs_its_bundles_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    keys, installed = made_earlier(home)
    done = cli(Desk(home), "up")
    assert done.exit_code == Exit.USAGE
    assert "site.key" in done.output
    assert "radloop init" in done.output
    done = cli(Desk(home), "init")
    assert done.exit_code == 0, done.output
    public = public_key(Keyring.load(keys).signing_key)
    assert [verify(bundle, public) for bundle in installed] == [bundle.name for bundle in installed]
    assert not (keys / "signing.key").exists()
    assert list(home.rglob("manifest.sig")) == []
    assert replaced(Desk(home)) == ["bundles signed again, 0 refused"]
    assert cli(Desk(home), "init").exit_code == 0
    assert len(replaced(Desk(home))) == 1


def test_init_does_not_sign_what_the_former_key_did_not(tmp_path: Path) -> None:
    home = tmp_path / "home"
    keys, installed = made_earlier(home)
    (installed[0] / "manifest.sig").write_bytes(bytes(64))
    done = cli(Desk(home), "init")
    assert done.exit_code == Exit.INTEGRITY
    assert f"{installed[0]}: not signed again" in done.output
    public = public_key(Keyring.load(keys).signing_key)
    assert verify(installed[1], public) == installed[1].name
    with pytest.raises(IntegrityError, match="earlier radloop"):
        verify(installed[0], public)


def replaced(desk: Desk) -> list[str]:
    """What the audit says of replaced keys."""
    e = audit_events.c
    with desk.ledger.read() as conn:
        return list(conn.scalars(select(e.detail).where(e.action == "keys.replace")))


def made_earlier(home: Path) -> tuple[Path, list[Path]]:
    """A home with the key and the signatures of a radloop before model-signing: its folder of keys, and its bundles."""
    desk = Desk(home)
    prepare(desk)
    desk.ledger.close()
    keys, installed = desk.settings.keys_path, sorted(desk.settings.models_path.glob("*/*"))
    former = (keys / "site.key").rename(keys / "signing.key")
    former.write_bytes(bytes(range(32)))
    for bundle in installed:
        (bundle / SIGNATURE).unlink()
        signature = Ed25519PrivateKey.from_private_bytes(former.read_bytes()).sign((bundle / MANIFEST).read_bytes())
        (bundle / "manifest.sig").write_bytes(signature)
    return keys, installed


def test_the_public_key_is_printed_for_a_reviewer(desk: Desk) -> None:
    done = cli(desk, "keys", "public")
    assert done.stdout.encode() == public_key(Keyring.load(desk.settings.keys_path).signing_key)
    assert done.stdout.startswith("-----BEGIN PUBLIC KEY-----\n")


def test_the_fresh_radloop_toml_loads_and_routes_what_has_seen_patients(tmp_path: Path) -> None:
    (tmp_path / "radloop.toml").write_text(template.render())
    settings = load_settings(tmp_path)
    assert [route.models for route in settings.routes] == [("cxr_pneumonia",), ("brain_mr_tumour",)]
    assert settings.routes[0].when.matches({"modality": "DX"})
    assert settings.gateway.dicom_port == 11112


def test_every_commented_key_of_the_fresh_radloop_toml_loads_when_the_comment_is_taken_away(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^#(?=[a-z_]+ = |\[)", "", template.render())
    (tmp_path / "radloop.toml").write_text(text)
    settings = load_settings(tmp_path)
    assert settings.peers["ris"].priority_upgrade == "ORM"
    assert settings.schedules["night"].cron == "0 2 * * *"


@pytest.mark.parametrize(("name", "model"), list(template.sections_of(template.Settings)))
def test_every_key_of_every_section_is_explained(name: str, model: type) -> None:
    text = template.render().split(f"\n[{name}]\n")[1].split("\n[")[0]
    for key, field in template.keys_of(model):
        assert f"# {field.description}\n" in text
        assert re.search(rf"(?m)^#?{key} = ", text)
