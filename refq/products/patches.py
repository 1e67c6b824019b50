"""The patch matrix of a convolution, some rows at a time: what each output pixel sees, one row a pixel.

    row p = x[n, s p + d t - b, channels of the group] for taps t = (kernel line, kernel column), channels innermost

      x, channels last                          three rows of the patch matrix, kernel 2 x 2, stride 1
      +----+----+----+----+                     +----+----+----+----+
      | p0 | p1 | p2 | p3 |                     | p0 | p1 | q0 | q1 |    a cell: the channels of one pixel,
      +----+----+----+----+        ->           +----+----+----+----+    one contiguous copy
      | q0 | q1 | q2 | q3 |                     | p1 | p2 | q1 | q2 |
      +----+----+----+----+                     +----+----+----+----+    a kernel line is one copy too where
                                                | p2 | p3 | q2 | q3 |    the width has no dilation, the image
                                                +----+----+----+----+    no groups, and nothing is padded

Outside of x stands the pad code. Only codes move, so that an unsigned view of each width serves every dtype.
"""

from __future__ import annotations

from numba import njit, uintp

from refq.products.pixels import next_pixel, pixel_at

# An index made unsigned is not tested for being negative, which lets a loop become a block copy.


@njit
def _copy(x, source, out, at, count):
    """out[at:][:count] = x[source:][:count]."""
    for i in range(count):
        out[uintp(at + i)] = x[uintp(source + i)]


@njit
def _fill(out, at, count, code):
    """out[at:][:count] = code."""
    for i in range(count):
        out[uintp(at + i)] = code


@njit
def _kernel_line(x, origin, left, width, channels, first, each, pad, out, at):
    """The taps of one kernel line; x[origin] begins the line of the image, left: the column of the first tap."""
    size, kernel, dilation = width[0], width[1], width[3]
    if dilation == 1 and each == channels and left >= 0 and left + kernel <= size:
        _copy(x, origin + left * channels, out, at, kernel * each)
        return
    for j in range(kernel):
        column = left + j * dilation
        if column < 0 or column >= size:
            _fill(out, at + j * each, each, pad)
        else:
            _copy(x, origin + column * channels + first, out, at + j * each, each)


@njit(nogil=True)
def fill_patches(x, height, width, channels, first, start, pad, out):
    """Rows start.. of the patch matrix into out (rows, depth), C order.

    x: every code, flat, channels last. height, width: the lines of a Geometry as plain tuples. first: where the
    channels of the group begin. The caller has start + rows <= pixels, so that each place read is inside x.
    """
    rows, depth = out.shape
    flat = out.reshape(-1)
    each, at = depth // (height[1] * width[1]), 0
    run = each * width[1]
    image, line, column = pixel_at(start, height, width)
    for _ in range(rows):
        left, top = column * width[2] - width[4], line * height[2] - height[4]
        for i in range(height[1]):
            y = top + i * height[3]
            if y < 0 or y >= height[0]:
                _fill(flat, at, run, pad)
            else:
                origin = (image * height[0] + y) * width[0] * channels
                _kernel_line(x, origin, left, width, channels, first, each, pad, flat, at)
            at += run
        image, line, column = next_pixel(image, line, column, height, width)


@njit(nogil=True)
def scatter_pixels(rows, start, out):
    """out[image, filter, pixel] = rows[r, filter], pixels start.. of all images; out (batch, filters, pixels)."""
    count, filters = rows.shape
    source, target, pixels = rows.reshape(-1), out.reshape(-1), out.shape[2]
    # The lines of memory under 32 filters stay in the first-level cache while the pixels go by.
    for first in range(0, filters, 32):
        last = min(first + 32, filters)
        image, pixel = divmod(start, pixels)
        for r in range(count):
            at = image * filters * pixels + pixel
            for o in range(first, last):
                target[uintp(at + o * pixels)] = source[uintp(r * filters + o)]
            pixel += 1
            if pixel == pixels:
                image, pixel = image + 1, 0
