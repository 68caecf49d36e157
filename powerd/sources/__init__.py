"""Sensors: each is handed Eyes and its own options, and gives back a fact. Sources only look."""
