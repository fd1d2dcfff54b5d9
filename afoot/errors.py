"""Errors that a person reads: each names where, what was found, what is allowed and what follows."""


class AfootError(Exception):
    """A failure with a message for the user; `exit_status` is what the command line returns."""

    exit_status = 1


class UsageError(AfootError):
    """Bad usage or configuration: names the file, line or key, and what is allowed."""

    exit_status = 2


class DecodeError(AfootError):
    """A message that cannot be read; its text is the reason in the dead letter."""
