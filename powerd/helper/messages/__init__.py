"""What may be said, subject by subject; protocol.py makes one vocabulary of it."""
