"""What all tests of training share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _seed() -> None:
    """The same weights and noise, whichever tests run."""
    torch.manual_seed(0)
