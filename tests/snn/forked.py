"""Running something in the child of a fork, which has none of its parent's threads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

DONE = 7


def status_of(call: Callable[[], object]) -> int | None:
    """Exit status of a child that makes the call: `DONE`, or 1 where that failed; None where it took over 10 s."""
    child = os.fork()
    if child == 0:
        try:
            call()
        except BaseException:
            os._exit(1)
        os._exit(DONE)
    for _ in range(200):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return None
