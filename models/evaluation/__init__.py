"""How good a model is, with the doubt that belongs to every number."""

from models.evaluation.intervals import Interval, bootstrap, wilson
from models.evaluation.metrics import auc, brier, calibration_error, sensitivity, specificity

__all__ = ["Interval", "auc", "bootstrap", "brier", "calibration_error", "sensitivity", "specificity", "wilson"]
