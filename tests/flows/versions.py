"""More versions of the test's card, by the ledger alone: the service that answers for them is a fake."""

from dataclasses import replace
from pathlib import Path

from flows.house import House
from models.spec import ModelSpec
from radloop.domain.enums import Standing
from radloop.domain.records import ModelVersion
from radloop.ledger import standing
from radloop.ledger.standing import Act
from tests.flows import cards

NEXT = "e" * 64
ACT = Act("ann", "for the test")


def spec_of(model: ModelVersion, installed: Path) -> ModelSpec:
    """The test's card, for every version of it."""
    del installed
    return replace(cards.card(), digest=model.digest, version=model.version)


def add_next(house: House) -> ModelVersion:
    """A challenger beside the test's champion."""
    made = replace(cards.version(digest=NEXT, standing=Standing.CHALLENGER), version="2.0.0")
    with house.ledger.write() as conn:
        standing.enter(conn, made, ACT)
    return made


def shadow_next(house: House) -> ModelVersion:
    """A shadow beside the test's champion."""
    made = add_next(house)
    with house.ledger.write() as conn:
        return standing.shadow(conn, made.digest, ACT)


def promote_next(house: House) -> ModelVersion:
    """A new champion; the test's champion is the previous one."""
    made = shadow_next(house)
    with house.ledger.write() as conn:
        return standing.promote(conn, made.digest, ACT, expected=cards.DIGEST)
