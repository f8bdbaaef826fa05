"""Model versions and what each may do. At most one champion per model: a unique index holds it.

How a version's standing moves, and the record of it, is `radloop.ledger.standing`'s.
"""

from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from radloop.domain.enums import Qualification, Standing
from radloop.domain.errors import NotFound
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import ModelVersion
from radloop.ledger.tables import models

_m = models.c


def register(conn: Connection, version: ModelVersion) -> bool:
    """Keep a version; False where its digest is known already (its standing stays as it is)."""
    if conn.scalar(select(_m.id).where(_m.digest == version.digest)) is not None:
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
    return next(iter(standing_as(conn, name, Standing.CHAMPION)), None)


def standing_as(conn: Connection, name: str, standing: Standing) -> tuple[ModelVersion, ...]:
    """The versions of a model that stand so, by age."""
    return _versions(conn, select(models).where(_m.name == name, _m.standing == standing).order_by(_m.at, _m.id))


def get(conn: Connection, digest: str) -> ModelVersion | None:
    """The version of that digest, or None."""
    return next(iter(_versions(conn, select(models).where(_m.digest == digest))), None)


def find(conn: Connection, name: str, which: str) -> ModelVersion:
    """The version of a model that a person means by its version or the beginning of its digest.

    Raises:
        NotFound: there is none, or the beginning fits several.
    """
    of_name = _versions(conn, select(models).where(_m.name == name))
    exact = [version for version in of_name if which in (version.version, version.digest)]
    meant = exact or [version for version in of_name if which and version.digest.startswith(which)]
    if len(meant) != 1:
        raise NotFound(f"{len(meant) or 'no'} versions of {name} go by {which}")
    return meant[0]


def hold(conn: Connection, name: str) -> tuple[ModelVersion, ...]:
    """Every version of a model, locked until the transaction ends: who changes standings goes one at a time."""
    return _versions(conn, select(models).where(_m.name == name).order_by(_m.id).with_for_update())


def move(conn: Connection, digest: str, before: Standing, after: Standing) -> bool:
    """Compare-and-set of a standing; False where it stands otherwise by now."""
    condition = (_m.digest == digest, _m.standing == before)
    return conn.execute(update(models).where(*condition).values(standing=after)).rowcount == 1


def qualify(conn: Connection, digest: str, before: Qualification, after: Qualification) -> bool:
    """Compare-and-set of a qualification; False where it is called otherwise by now."""
    condition = (_m.digest == digest, _m.qualification == before)
    return conn.execute(update(models).where(*condition).values(qualification=after)).rowcount == 1


def known(conn: Connection) -> tuple[ModelVersion, ...]:
    """Every version, by name and age."""
    return _versions(conn, select(models).order_by(_m.name, _m.at))


def _versions(conn: Connection, query: Select[Any]) -> tuple[ModelVersion, ...]:
    return tuple(_version(row) for row in conn.execute(query))


def _version(row: Row[Any]) -> ModelVersion:
    return ModelVersion(
        name=row.name,
        version=row.version,
        digest=row.digest,
        standing=Standing(row.standing),
        qualification=Qualification(row.qualification),
    )
