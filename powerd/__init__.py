"""powerd: detects who is home, lets the server sleep when nobody needs it, and explains why."""

__version__ = "0.1.0"
