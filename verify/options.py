"""What the verbs of `refq` share; standard library and click only, so that --help stays instant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from verify.failures import UsageError


@contextmanager
def checked() -> Iterator[None]:
    """What refq refuses of the arguments given here is a usage error."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from None


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--json as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(command)
