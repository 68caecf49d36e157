"""What people and scripts see of a Status: text, JSON, a page, journal entries."""
