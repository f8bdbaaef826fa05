"""Who did what: rows appended with the change they record; one sealer chains and signs them."""

from radloop.audit.record import append
from radloop.audit.seal import Sealer, Verdict, verify

__all__ = ["Sealer", "Verdict", "append", "verify"]
