"""A backend in a process of its own, so that its crash or hang is a finding and not ours.

The child answers (kind, payload) pairs over a pipe: ("answer", array) or ("raised", text). It imports the
backend only. What it writes to stderr is kept for the report of a crash.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from types import ModuleType
from typing import Any

from verify.backends import Backend, load
from verify.failures import BackendError, UsageError

Ask = Callable[[str, dict[str, Any], dict[str, Any]], Any]


Serve = Callable[[Any, Any], None]


def _settle(serve: Serve, backend: Any, pipe: Any, stderr_path: str) -> None:
    """The child: its stderr goes to a file, its stdout nowhere, for ours holds the report.

    An interrupt of the terminal is the parent's.
    """
    os.dup2(os.open(stderr_path, os.O_WRONLY | os.O_APPEND), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(backend, pipe)


def _serve(backend: Backend, pipe: Any) -> None:
    """Load, then answer until the pipe closes."""
    try:
        run = load(backend)
    except UsageError as error:
        pipe.send(("usage", str(error)))
        return
    pipe.send(("ready", ""))
    while True:
        try:
            question = pipe.recv()
        except EOFError:
            return
        try:
            reply = ("answer", run(*question))
        except Exception as error:
            reply = ("raised", f"{type(error).__name__}: {error}")
        pipe.send(reply)


def _tail(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line.strip() for line in file.read()[-2000:].splitlines() if line.strip()]
    return f"; last line of its stderr: {lines[-1]!r}" if lines else ""


def _death(process: Any, path: str) -> str:
    process.join(5)
    code = process.exitcode
    how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
    return f"crashed with {how}{_tail(path)}"


@dataclass(frozen=True)
class Child:
    """A process that serves. send: a question; receive: its next answer, the words say what it is doing.

    Both raise UsageError if the backend cannot be loaded, BackendError if it raises, crashes or is silent for
    too long.
    """

    send: Callable[[Any, str], None]
    receive: Callable[[str], Any]


@contextmanager
def _empty_main() -> Iterator[None]:
    """The new process need not import the program that started it, which takes longer than many a runtime."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def child(backend: Any, serve: Serve, timeout: float) -> Iterator[Child]:
    """A process that runs `serve(backend, pipe)`; it is ended on the way out.

    backend: a record with a name. serve: a function of a module, which sends (kind, payload) pairs.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.NamedTemporaryFile(prefix="refq-stderr-") as log:
        process = context.Process(target=_settle, args=(serve, backend, theirs, log.name), daemon=True)
        with _empty_main():
            process.start()
        theirs.close()

        def send(question: Any, doing: str) -> None:
            try:
                ours.send(question)
            except (BrokenPipeError, ConnectionResetError):
                raise BackendError(f"{backend.name}: {_death(process, log.name)} before {doing}") from None

        def receive(doing: str) -> Any:
            if not ours.poll(timeout):
                raise BackendError(f"{backend.name}: no answer within {timeout:g} s while {doing}")
            try:
                kind, payload = ours.recv()
            except (EOFError, ConnectionResetError):
                raise BackendError(f"{backend.name}: {_death(process, log.name)} while {doing}") from None
            if kind == "usage":
                raise UsageError(payload)
            if kind == "raised":
                raise BackendError(f"{backend.name}: raised {payload} while {doing}")
            return payload

        try:
            yield Child(send, receive)
        finally:
            ours.close()
            process.terminate()
            process.join(2)
            if process.is_alive():
                process.kill()
                process.join()


@contextmanager
def started(backend: Backend, timeout: float = 60.0) -> Iterator[Ask]:
    """Yield `ask(op, parameters, inputs)`, answered by the backend in its own process.

    It loads while the caller prepares its first question. `ask` raises UsageError if it cannot be loaded,
    BackendError if it raises, crashes or is silent for
    `timeout` seconds.
    """
    with child(backend, _serve, timeout) as process:
        loaded = False

        def ask(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> Any:
            nonlocal loaded
            if not loaded:
                process.receive("loading")
                loaded = True
            process.send((op, parameters, inputs), op)
            return process.receive(f"running {op}")

        yield ask
