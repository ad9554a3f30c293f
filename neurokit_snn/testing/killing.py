"""Processes that are killed on purpose, many times a second, to see what they leave behind.

A `Zygote` is a process that has imported the code under test once; each trial is a fork of it, so that fifty
kills cost fifty forks and not fifty imports.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

__all__ = ["Outcome", "Zygote"]

# What Python tells audit hooks when a program changes the file system; opening a file to write is one more.
_STEPS = {
    "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate",
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of one trial.

    Attributes
    ----------
    killed
        Whether it died of SIGKILL; otherwise it came to its end.
    seconds
        From the fork to the end.
    error
        Traceback of the exception it ended with, or an empty string.
    """

    killed: bool
    seconds: float
    error: str


class Zygote:
    """A warm process of which each trial is a fork.

    Parameters
    ----------
    target
        Function to run, ``package.module:function`` or ``path/to/file.py:function``. It gets what `run` is
        given, which travels as JSON. What it prints is lost.

    Raises
    ------
    RuntimeError
        When the target cannot be imported, or the system cannot fork.

    Examples
    --------
    >>> with Zygote("time:sleep") as zygote:
    ...     zygote.run(0.0).killed, zygote.run(30.0, kill_after=0.05).killed
    (False, True)
    """

    def __init__(self, target: str) -> None:
        if not hasattr(os, "fork"):
            raise RuntimeError("this system cannot fork; run the test on Linux or macOS")
        # One thread: a fork takes along only the thread that forks, and with it the locks of all others.
        single = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from neurokit_snn.testing.killing import _serve; _serve({target!r})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **single, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._answer()

    def run(self, *args: Any, kill_after: float | None = None, kill_at: int | None = None) -> Outcome:
        """Call the target in a fresh fork.

        Parameters
        ----------
        args
            Arguments of the target: JSON.
        kill_after
            Seconds after the fork at which it is sent SIGKILL; None for never.
        kill_at
            Number of the step (opening, making, renaming, removing a file or folder; from 0) before which it
            kills itself; None for never. Counting up from 0 until an outcome is not killed visits every state
            in between.
        """
        request = {"args": args, "kill_after": kill_after, "kill_at": kill_at}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Outcome(**self._answer())

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError("the zygote died; its error stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _serve(target: str) -> None:
    """Loop of the zygote: one request a line, one outcome a line."""
    function = _find(target)
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    channel.write("{}\n")
    for line in sys.stdin:
        request = json.loads(line)
        channel.write(json.dumps(asdict(_trial(function, **request))) + "\n")


def _find(target: str) -> Callable[..., object]:
    place, _, name = target.rpartition(":")
    if not place.endswith(".py"):
        return getattr(importlib.import_module(place), name)
    spec = importlib.util.spec_from_file_location("killed", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["killed"] = module
    spec.loader.exec_module(module)
    return getattr(module, name)


def _trial(
    function: Callable[..., object], args: list[Any], kill_after: float | None, kill_at: int | None
) -> Outcome:
    from_child, to_parent = os.pipe()
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.close(from_child)
        _live(function, args, kill_at, to_parent)
    os.close(to_parent)
    ready, _, _ = select.select([from_child], [], [], kill_after)
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    seconds = time.perf_counter() - started
    with os.fdopen(from_child, "rb") as pipe:
        error = pipe.read().decode()
    return Outcome(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, seconds, error)


def _live(function: Callable[..., object], args: list[Any], kill_at: int | None, to_parent: int) -> None:
    """Life of the child; it never returns."""
    try:
        if kill_at is not None:
            sys.addaudithook(_Executioner(kill_at))
        function(*args)
    except BaseException:
        # Within what a pipe holds, so that writing cannot wait for a reader.
        os.write(to_parent, traceback.format_exc().encode()[-30_000:])
    finally:
        os._exit(0)


class _Executioner:
    """Audit hook that kills its own process before the given step."""

    def __init__(self, step: int) -> None:
        self.left = step

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        opens = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        if event in _STEPS or opens:
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
