"""Images that may leave the hospital: PS3.15 Annex E, keyed pseudonyms, and a final search that fails closed."""

from integrations.deidentify.core import Released, deidentify_dataset, deidentify_file
from integrations.deidentify.options import Options
from integrations.deidentify.pseudonyms import Pseudonyms
from integrations.deidentify.refusals import BurnedIn, Leaked, NotAnImage, NotReleased, Unsearchable
from integrations.deidentify.site_key import site_key

__all__ = [
    "BurnedIn",
    "Leaked",
    "NotAnImage",
    "NotReleased",
    "Options",
    "Pseudonyms",
    "Released",
    "Unsearchable",
    "deidentify_dataset",
    "deidentify_file",
    "site_key",
]
