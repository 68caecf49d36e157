"""The one error that the helper answers with."""

from __future__ import annotations


class RefusalError(Exception):
    """It cannot or must not be done; the text is one sentence with what, where and the remedy."""
