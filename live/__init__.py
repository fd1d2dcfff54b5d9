"""The live experiment: real agents, a real pipeline and a real job that disturbs it, judged by afoot as a user runs it.

`make live`, or `python -m live`; docs/live.md says what it does and what it found.
"""
