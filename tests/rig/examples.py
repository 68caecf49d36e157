"""The number of examples of a property test."""

from __future__ import annotations

from hypothesis import settings


def examples(count: int) -> int:
    """``count`` with the default profile, a quarter of it with the profile "quick" (tests/conftest.py)."""
    return max(5, count * settings().max_examples // 100)
