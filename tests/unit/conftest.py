"""What tests of several parts share."""

from __future__ import annotations

import pytest


@pytest.fixture
def narrow_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the largest layers of two-stage detectors small: no argument does."""
    monkeypatch.setattr("geodl_plugin.core.models.networks.two_stage.BOX_WIDTH", 32)
