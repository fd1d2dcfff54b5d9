"""The capture that `afoot demo` solves."""
