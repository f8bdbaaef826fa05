"""Model versions and their standing. At most one champion per model: a unique index holds it."""

from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from radloop.domain.enums import Qualification, Standing
from radloop.domain.errors import NotFound
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import ModelVersion
from radloop.ledger.tables import models


def register(conn: Connection, version: ModelVersion) -> bool:
    """Keep a version; False where its digest is known already (its standing stays as it is)."""
    if conn.scalar(select(models.c.id).where(models.c.digest == version.digest)) is not None:
        return False
    conn.execute(
        insert(models).values(
            id=new_id("mo"),
            name=version.name,
            version=version.version,
            digest=version.digest,
            standing=version.standing,
            qualification=version.qualification,
            at=utc_now(),
        )
    )
    return True


def champion(conn: Connection, name: str) -> ModelVersion | None:
    """The version that answers, or None."""
    row = conn.execute(select(models).where(models.c.name == name, models.c.standing == Standing.CHAMPION)).first()
    return _version(row) if row else None


def promote(conn: Connection, digest: str, *, expected: str | None) -> None:
    """Make a version champion, compare-and-set: only while `expected` (a digest, or None) is the champion.

    The old champion becomes PREVIOUS, an older PREVIOUS becomes CHALLENGER again.

    Raises:
        NotFound: no such version, or another champion than expected.
    """
    row = conn.execute(select(models).where(models.c.digest == digest).with_for_update()).first()
    if row is None:
        raise NotFound("no model version has this digest")
    now = champion(conn, row.name)
    if (now.digest if now else None) != expected:
        raise NotFound("another version is champion than the one expected")
    steps = ((Standing.PREVIOUS, Standing.CHALLENGER), (Standing.CHAMPION, Standing.PREVIOUS))
    for old, new in steps:
        condition = (models.c.name == row.name, models.c.standing == old)
        conn.execute(update(models).where(*condition).values(standing=new))
    conn.execute(update(models).where(models.c.digest == digest).values(standing=Standing.CHAMPION))


def known(conn: Connection) -> tuple[ModelVersion, ...]:
    """Every version, by name and age."""
    return tuple(_version(row) for row in conn.execute(select(models).order_by(models.c.name, models.c.at)))


def _version(row: Row[Any]) -> ModelVersion:
    return ModelVersion(
        name=row.name,
        version=row.version,
        digest=row.digest,
        standing=Standing(row.standing),
        qualification=Qualification(row.qualification),
    )
