"""How many examples property tests take: those of the profile that the command line chose."""

from __future__ import annotations

from hypothesis import settings

FEW = settings().max_examples // 3
"""Examples of tests of which each takes long."""
