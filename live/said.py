"""What the programs of the experiment say, on their standard output and to the rsyslog beside them."""

from __future__ import annotations

import logging
import logging.handlers
import sys


def to_syslog(program: str, socket: str) -> None:
    """Have the root logger write there, as `program`."""
    syslog = logging.handlers.SysLogHandler(socket, logging.handlers.SysLogHandler.LOG_DAEMON)
    syslog.setFormatter(logging.Formatter(f"{program}: %(message)s"))
    out = logging.StreamHandler(sys.stdout)
    out.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[syslog, out])
