"""The command `refq` as tests run it: in this process, or in one of its own."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest

from verify.cli import run


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def refq(*words: str) -> Done:
    """The entry point in this process, which spares every test the start of a new one."""
    out, err = io.StringIO(), io.StringIO()
    arguments = patch.object(sys, "argv", ["refq", *words])
    with arguments, redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stop:
        run()
    return Done(int(stop.value.code or 0), out.getvalue(), err.getvalue())


def process(*words: str) -> Done:
    """The same through a process of its own."""
    command = [sys.executable, "-c", "from verify.cli import run; run()", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def answer(*words: str) -> Any:
    done = refq(*words, "--json")
    return json.loads(done.stdout)


def refused(code: int, *words: str) -> str:
    """The one line on stderr of a run that ends with `code` and says nothing else."""
    done = refq(*words)
    assert (done.returncode, done.stdout) == (code, ""), done
    [line] = done.stderr.splitlines()
    assert line.startswith("refq: ")
    return line
