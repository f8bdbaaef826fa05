"""Prefect's own server, as its command `prefect` starts it, mended for the SQLAlchemy that we hold.

    python -m flows.prefect_server server start ...

Prefect 3.8 adds scheduled runs in bulk and names hybrid attributes among the values, which SQLAlchemy 2.0 left out and
2.1 refuses ("supply a bulk_dml decorated function"): its scheduler fails at every look, and nothing ever runs by the
clock. Here they are left out again. To be taken away once Prefect does so itself.
"""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from prefect.cli import app
from prefect.server.database.orm_models import Base
from sqlalchemy.ext.hybrid import hybrid_property


def leave_out_hybrids() -> int:
    """Have every hybrid attribute of Prefect's tables left out of values that are added in bulk; how many there are."""
    found = dict(_hybrids())
    for hybrid, name in found.items():
        hybrid.inplace.bulk_dml(_left_out(name))
    return len(found)


def _hybrids() -> Iterator[tuple["hybrid_property[Any]", str]]:
    for mapper in Base.registry.mappers:
        for kind in mapper.class_.__mro__:
            for name, value in vars(kind).items():
                if isinstance(value, hybrid_property):
                    yield value, name


def _left_out(name: str) -> Callable[..., None]:
    def leave_out(cls: Any, mapping: MutableMapping[str, Any], value: Any) -> None:  # noqa: ARG001 - SQLAlchemy's names
        mapping.pop(name, None)

    return leave_out


if __name__ == "__main__":
    leave_out_hybrids()
    app()
