"""Great Expectations imports modules that Python 3.11 deprecates: told once, at import, and no fault of ours."""

import warnings
from importlib import import_module

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="module 'sre_", category=DeprecationWarning)
    import_module("data_checks.suites")
