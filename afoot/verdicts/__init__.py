"""Verdicts: who is the culprit, who is cleared, and how findings live; pure functions over one window at a time."""
