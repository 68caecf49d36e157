"""When a disk may sleep: a state machine for each, over facts alone.

The drive is believed, not memory: it is asked after each order, and whenever its counters leave open whether
it spins. Nothing is ever sent to a sleeping disk but that question, which wakes none.
"""

from powerd.policy.disks.course import DiskCourse, course_of_disks
from powerd.policy.disks.recall import tried_anew

__all__ = ["DiskCourse", "course_of_disks", "tried_anew"]
