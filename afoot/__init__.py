"""afoot: finds what makes streaming pipelines late, and who is innocent of it."""

__version__ = "0.1.0"
