"""What the OpenAPI says is what the paths take, and nothing that fits it breaks them (schemathesis)."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks as _checks
