"""Hand-over between threads without the operating system: a board of two numbers that both sides watch, unlocked.

board[POSTED]: the last ticket the caller put up, or GONE when the helper has stopped watching. board[DONE]: the last
ticket the helper has finished. A thread that watches holds no interpreter lock, and gives up after SPINS looks.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from refq.products.vectors import I64, call, pointer, target_features

POSTED, DONE = 0, 8
"""Places on the board, a line of the cache apart."""
BOARD = 16
GONE = -1
SPINS = 1 << 16
"""Looks before a thread gives up: 0.3 to 4 milliseconds, by the length of a pause."""
LET_GO = 800
"""Pauses before a helper asks for the interpreter lock, in which the caller starts its own part and lets go of it."""


def _place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.gep(pointer(context, builder, signature.args[0], arguments[0], I64), [arguments[1]])


@intrinsic
def _load(typing_context: Any, board: Any, place: Any) -> Any:
    """board[place], and all that was written before it was stored."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_place(context, builder, signature, arguments), "acquire", 8)

    return types.int64(board, types.int64), code


@intrinsic
def _store(typing_context: Any, board: Any, place: Any, value: Any) -> Any:
    """board[place] = value, after all that was written before."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[2], _place(context, builder, signature, arguments), "release", 8)
        return context.get_dummy_value()

    return types.void(board, types.int64, types.int64), code


@intrinsic
def _swap(typing_context: Any, board: Any, place: Any, old: Any, new: Any) -> Any:
    """Whether board[place] was `old`; it is `new` then."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature, arguments)
        return builder.extract_value(builder.cmpxchg(place, arguments[2], arguments[3], "seq_cst"), 1)

    return types.boolean(board, types.int64, types.int64, types.int64), code


@intrinsic
def _pause(typing_context: Any) -> Any:
    """Leaves the core to its other thread for a moment, where the target has a word for it."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if "x86" in target_features():
            call(builder, "llvm.x86.sse2.pause", ir.VoidType(), [])
        return context.get_dummy_value()

    return types.void(), code


@njit
def post(board, old, new):
    """Put up a ticket; False if the helper is gone."""
    return _swap(board, POSTED, old, new)


@njit(nogil=True)
def next_ticket(board, done):
    """Say that `done` is finished, then watch for another ticket; GONE if none comes."""
    _store(board, DONE, done)
    for _ in range(SPINS):
        ticket = _load(board, POSTED)
        if ticket != done:
            for _ in range(LET_GO):
                _pause()
            return ticket
        _pause()
    if _swap(board, POSTED, done, GONE):
        return GONE
    return _load(board, POSTED)


@njit(nogil=True)
def watch_done(board, ticket):
    """Watch until the ticket is finished, or for so long."""
    for _ in range(SPINS):
        if _load(board, DONE) >= ticket:
            return
        _pause()
