"""Output pixels of a convolution in order: image, line, column; height, width are lines of a Geometry as tuples."""

from __future__ import annotations

from numba import njit


@njit
def pixel_at(place, height, width):
    """(image, line, column) of output pixel `place` of all images."""
    above, column = divmod(place, width[6])
    image, line = divmod(above, height[6])
    return image, line, column


@njit
def next_pixel(image, line, column, height, width):
    """The pixel after; no division, which would cost as much as a short row."""
    column += 1
    if column == width[6]:
        column, line = 0, line + 1
    if line == height[6]:
        line, image = 0, image + 1
    return image, line, column
