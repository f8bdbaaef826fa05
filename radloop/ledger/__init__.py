"""The durable record: one module per aggregate, plain functions that take the open transaction first.

`Ledger` opens transactions; every function below it is told which one to work in, so that what belongs together is
committed together. The same code runs on SQLite (WAL, synchronous=FULL) and PostgreSQL.
"""

from radloop.ledger.engine import Ledger

__all__ = ["Ledger"]
