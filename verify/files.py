"""Files given to be read: one line and exit code 7 for whatever cannot be; standard library only."""

from __future__ import annotations

from pathlib import Path

from verify.failures import FileRejectedError


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


def read_text(path: str, limit: int) -> str:
    """The whole of a UTF-8 text file."""
    require_readable(path, limit)
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise FileRejectedError(f"{shown(path)} cannot be read: {error}") from None
