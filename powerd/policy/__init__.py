"""The rules: pure functions of a Snapshot, a Memory, the Options and the Moment."""

from powerd.policy.decide import decide

__all__ = ["decide"]
