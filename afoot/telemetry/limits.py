"""What a message may hold at most: a hostile or broken sender costs a dead letter, never the job's memory or time."""

from __future__ import annotations

MESSAGE_BYTES = 16 * 1024 * 1024  # as received, and after decompression
ROWS = 200_000  # rows and refusals of one message
REASONS = 20  # reasons of one message that say where; the others only say that there are more
REASON_CHARS = 1_000  # characters of a reason
LABELS = 256  # labels of one row
LABEL_CHARS = 16_384  # characters of all names and values of one row's labels
NAME_CHARS = 1_024  # characters of a metric's name or unit
LINE_CHARS = 1024 * 1024  # characters of a line of the line protocol
BODY_CHARS = 1024 * 1024  # characters of a log body
DEPTH = 64  # nesting of a value inside a row, of protobuf messages and of Avro schemas
CACHE_BYTES = 64 * 1024 * 1024  # keys that one label cache remembers before it starts anew
