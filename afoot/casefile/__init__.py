"""The case file: one finding as a page, or a screen, that a person reads."""
