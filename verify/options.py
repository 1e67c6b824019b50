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


def seconds(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """More than none and at most a day; no comparison refuses NaN."""
    if not 0 < value <= 86_400:
        raise UsageError(f"--{parameter.name}={value:g} is no time to wait; pass seconds, more than 0, at most 86400")
    return value


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--json as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(command)
