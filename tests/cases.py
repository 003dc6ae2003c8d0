"""Inputs that people really have, as drawn for all tests; absent on a machine that has only the project."""

import os
from pathlib import Path

import pytest

from tests.conftest import SHARED

CASES = SHARED.parent / "cases"


def case(name: str) -> Path:
    """The folder of one kind of input; skips the test where the cases are missing, but never in CI."""
    if not CASES.is_dir():
        assert not os.environ.get("CI"), f"CI must have {CASES}"
        pytest.skip(f"no cases at {CASES}")
    return CASES / name
