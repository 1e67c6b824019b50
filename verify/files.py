"""Files given to be read: one line and exit code 7 for whatever cannot be; standard library only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from verify.failures import FileRejectedError, UsageError


def shown(path: str) -> str:
    """A path on one line, whatever it is made of."""
    return path if path.isprintable() else repr(path)


def require_readable(path: str, limit: int) -> None:
    """FileRejectedError unless `path` is a readable regular file of at most `limit` bytes."""
    try:
        size, regular = Path(path).stat().st_size, Path(path).is_file()
        if regular:
            Path(path).open("rb").close()
    except (OSError, ValueError) as error:
        raise FileRejectedError(f"{shown(path)} cannot be read: {getattr(error, 'strerror', error)}") from None
    if not regular:
        raise FileRejectedError(f"{shown(path)} is no regular file")
    if size > limit:
        raise FileRejectedError(f"{shown(path)} has {size} bytes; at most {limit} are read")


def require_writable(option: str, path: str, inputs: Iterable[str | None]) -> None:
    """UsageError where a file is an input or cannot be written, as far as that is known before it is done."""
    try:
        target = Path(path).resolve()
        if any(name is not None and target == Path(name).resolve() for name in inputs):
            raise UsageError(f"{option}={shown(path)} is an input; name another file")
        folder = Path(path).parent.is_dir()
    except (OSError, ValueError) as error:
        raise UsageError(f"{option}={shown(path)} cannot be written: {getattr(error, 'strerror', error)}") from None
    if not folder:
        raise UsageError(f"{option}={shown(path)} cannot be written: its folder does not exist")
    if target.is_dir():
        raise UsageError(f"{option}={shown(path)} cannot be written: it is a folder")


def read_text(path: str, limit: int) -> str:
    """The whole of a UTF-8 text file."""
    require_readable(path, limit)
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise FileRejectedError(f"{shown(path)} cannot be read: {error}") from None
