"""What tests of several folders share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recorded data: NETWRIGHT_DATA, or shared/data beside the repository. Absent, it fails in CI and is skipped elsewhere."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NETWRIGHT_DATA") or beside)
    if not folder.is_dir():
        message = f"no recorded data at {folder}: set NETWRIGHT_DATA to its folder"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
