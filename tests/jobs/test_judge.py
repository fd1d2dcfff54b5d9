"""What the judge keeps."""

from __future__ import annotations

import cloudpickle

from afoot.verdicts.cases import CaseBook
from jobs.findings.judge import _Kept


def test_a_book_is_kept_as_bytes_and_as_it_is_when_the_engine_takes_it() -> None:
    book = CaseBook()
    kept = _Kept(book)
    book.end_ms = 60_000  # the next window of the same bundle
    taken = cloudpickle.loads(cloudpickle.dumps(kept))
    assert type(taken) is bytes
    assert CaseBook.unpacked(taken) == book
