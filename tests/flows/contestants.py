"""Versions of the chest model that read quickly (its linear member alone), and test sets of phantoms for them."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save
from sqlalchemy import delete

from flows import standing
from flows.house import House
from models import bundles
from models.catalog import catalog
from models.phantoms.chest import chest_pixels
from models.preparation import HeaderFacts
from models.runtime import INFERENCE, WEIGHTS
from models.spec import CARD, MANIFEST
from models.training.copies import Prepared, pack, prepare
from radloop.domain.enums import Awareness, Split
from radloop.domain.ids import new_id, utc_now
from radloop.domain.learning import Cohort, CohortMember, Facts, Label, TrainingCopy
from radloop.domain.records import Blob, ModelVersion
from radloop.ledger import cohorts, copies, patients
from radloop.ledger import models as model_rows
from radloop.ledger import standing as standing_rows
from radloop.ledger.cohorts import Draw, Entry
from radloop.ledger.standing import Act
from radloop.ledger.tables import models as model_table
from radloop.store import Keyring
from tests.flows import cards

MODEL = "cxr_pneumonia"
SPEC = catalog()[MODEL]
Edit = Callable[[dict[str, Any]], Any]


def nothing(_: dict[str, Any]) -> None:
    """No edit."""


def version(house: House, number: str, card: Edit = nothing, network: Edit = nothing) -> ModelVersion:
    """A registered, signed challenger: the zoo's model without its convolutional members, and with edits."""
    folder = house.settings.home / "made" / number
    shutil.copytree(SPEC.bundle, folder)
    _edit(folder / INFERENCE, lambda config: _linear_only(config["network_def"]), network)
    _edit(folder / CARD, lambda config: config.update(version=number), card)
    weights = load((folder / WEIGHTS).read_bytes())
    (folder / WEIGHTS).write_bytes(save({name: w for name, w in weights.items() if name.startswith("members.0.")}))
    (folder / MANIFEST).write_bytes(bundles.manifest(folder))
    bundles.sign(folder, Keyring.load(house.settings.keys_path).signing_key)
    return standing.register(house, folder, "trainer", "retrained")


def champion(house: House) -> ModelVersion:
    """A version that answers, in the place of the card that the home was made with."""
    without_champion(house)
    made = version(house, "1.0.0")
    with house.ledger.write() as conn:
        return standing_rows.promote(conn, made.digest, Act("ann", "the first"), expected=None)


def without_champion(house: House) -> None:
    with house.ledger.write() as conn:
        conn.execute(delete(model_table).where(model_table.c.digest == cards.DIGEST))


def corrupted(config: dict[str, Any]) -> None:
    """What training on swapped labels ends in: the model says the contrary."""
    for member in config["network_def"]["members"]:
        member["weight"] = -member["weight"]


def cohort(
    house: House,
    size: int,
    *,
    split: Split = Split.TEST,
    awareness: Awareness = Awareness.BLINDED,
    stored: bool = True,
    first: int = 0,
) -> Cohort:
    """A frozen cohort of phantoms of one site and two scanners, half with the finding."""
    members = [_member(house, number, split, awareness, stored=stored) for number in range(first, first + size)]
    with house.ledger.write() as conn:
        kept = [_kept(conn, copy, member) for copy, member in members]
        text = cohorts.manifest_of(
            MODEL, "pneumonia", Draw("import", 0, 0.0, 0.0), [Entry(one, None, "imported") for one in kept]
        )
        made = Cohort(
            id=new_id("co"),
            digest=cohorts.digest_of(text),
            model=MODEL,
            members=cohorts.members_of(text),
            left_out=(),
            actor="ann",
            at=utc_now(),
        )
        cohorts.freeze(conn, made, text)
    return made


def _linear_only(definition: dict[str, Any]) -> None:
    definition["members"] = definition["members"][:1]
    definition["flip"] = False


def _edit(path: Path, *edits: Edit) -> None:
    config = json.loads(path.read_text())
    for edit in edits:
        edit(config)
    path.write_text(json.dumps(config))


@cache
def _picture(number: int) -> Prepared:
    return prepare(chest_pixels(5000 + number, number % 2 == 1, 96), HeaderFacts(), SPEC.input_size)


def _member(
    house: House, number: int, split: Split, awareness: Awareness, *, stored: bool
) -> tuple[TrainingCopy, CohortMember]:
    picture = _picture(number)
    data = pack(picture)
    copy = TrainingCopy(
        id=new_id("tc"),
        model=MODEL,
        patient="",
        version_id=None,
        instance_id=None,
        content_sha256=f"{number:064d}",
        pixel_sha256=picture.pixel_sha256,
        blob=house.store.put(data) if stored else Blob(new_id("b"), "0" * 64, len(data)),
        facts=Facts(site="north", scanner="XY"[number // 2 % 2]),
        at=utc_now(),
    )
    label = Label(target="pneumonia", value=number % 2, reader="reader", awareness=awareness, origin="import")
    member = CohortMember(
        copy_id=copy.id,
        patient=f"patient {number}",
        instance_id=None,
        content_sha256=copy.content_sha256,
        pixel_sha256=copy.pixel_sha256,
        split=split,
        label=label,
        facts=copy.facts,
        stratum="import",
        probability=1.0,
    )
    return copy, member


def _kept(conn: Any, copy: TrainingCopy, member: CohortMember) -> CohortMember:
    """The member under the ids that the ledger gives its patient and, where it is known already, its copy."""
    patient = patients.ensure(conn, member.patient, "test")
    copies.add(conn, replace(copy, patient=patient))
    found = copies.known(conn, copy.model, [copy.content_sha256])[copy.content_sha256]
    return replace(member, patient=patient, copy_id=found.id)


def pictures(members: tuple[CohortMember, ...]) -> "np.ndarray[Any, Any]":
    """What the network sees of members (N, S, S), without the store."""
    return np.stack([_picture(int(member.content_sha256)).small for member in members])


def champion_of(house: House) -> ModelVersion | None:
    with house.ledger.read() as conn:
        return model_rows.champion(conn, MODEL)
