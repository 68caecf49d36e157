"""powerd: knows who is home, lets the server sleep when nobody needs it, and says why."""

__version__ = "0.1.0"
