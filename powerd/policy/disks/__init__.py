"""When a disk may sleep: a state machine for each, over facts alone.

The drive is believed, not memory: it is asked after each order, and whenever its counters leave open whether
it spins. Nothing is ever sent to a sleeping disk but that question, which wakes none.
"""

from powerd.policy.disks.course import DiskAssessment, assess_disks
from powerd.policy.disks.recall import reset_failures

__all__ = ["DiskAssessment", "assess_disks", "reset_failures"]
