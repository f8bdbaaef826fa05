"""Who did what: rows appended with the change they record; one sealer chains and signs them."""

from radloop.audit.acting import Acting, acting_as, begin_acting
from radloop.audit.checking import Verdict, verify
from radloop.audit.record import append
from radloop.audit.seal import Sealer

__all__ = ["Acting", "Sealer", "Verdict", "acting_as", "append", "begin_acting", "verify"]
