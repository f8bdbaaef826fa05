"""Our own PACS, RIS and EHR stand-ins, for `radloop demo`, tests and benchmarks. Not for patients.

Each is a context manager that listens on `port` and keeps what it gets in files of its own folder. They answer as the
standards say and do as little else as they can, so that a benchmark measures radloop and not them.
"""

from serving.standins.ehr import EhrStandIn
from serving.standins.pacs import PacsStandIn
from serving.standins.ris import RisStandIn

__all__ = ["EhrStandIn", "PacsStandIn", "RisStandIn"]
