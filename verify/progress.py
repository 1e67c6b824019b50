"""Progress on stderr, for verbs that take their time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int], None]


@contextmanager
def shown_progress(stage: Callable[[str], str] = str) -> Iterator[Progress]:
    """A function of (text, done, total): a bar that vanishes when done; where stderr is no terminal, a line a stage."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        seen: set[str] = set()

        def say(text: str, done: int, total: int) -> None:
            words = stage(text)
            if words not in seen:
                seen.add(words)
                print(f"refq: {words}", file=sys.stderr)

        yield say
        return
    with Bar(console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda text, done, total: bar.update(task, description=text, completed=done, total=total)
