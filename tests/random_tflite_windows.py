"""Random layers of products and pools: each function adds an operator that reads x, or nothing where none fits."""

import numpy as np
from random_tflite import SAME, VALID, Maker, V


def window(m: Maker, x: V, most: int = 4):
    """Kernel, stride, padding."""
    kernel = tuple(int(min(n, m.number(1, most + 1))) for n in x.shape[1:3])
    return kernel, (m.number(1, 3), m.number(1, 3)), m.one_of(SAME, VALID)


def lines(x: V, kernel, stride, padding, dilation=(1, 1)):
    """Rows and columns of the result."""
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    sizes = zip(x.shape[1:3], spans, stride, strict=True)
    return [-(-n // s) if padding == SAME else (n - span) // s + 1 for n, span, s in sizes]


def placed(m: Maker, x: V):
    """Kernel, (rows, columns) of the result and the fields that say so; dilated now and then."""
    kernel, stride, padding = window(m, x)
    dilation = (m.number(1, 4), m.number(1, 4)) if m.maybe(0.3) else (1, 1)
    if min(lines(x, kernel, stride, padding, dilation)) < 1:
        dilation = (1, 1)
    fields = {"padding": padding, "strideH": stride[0], "strideW": stride[1], "fusedActivationFunction": m.fused()}
    fields |= {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
    return kernel, lines(x, kernel, stride, padding, dilation), fields


def conv(m: Maker, x: V) -> None:
    if len(x.shape) != 4:
        return
    kernel, size, fields = placed(m, x)
    groups = m.one_of(1, 1, 1, *(g for g in (2, 3, 4) if x.shape[3] % g == 0))
    filters = -(-m.number(1, 41) // groups) * groups
    weights = (filters, *kernel, x.shape[3] // groups)
    m.product("CONV_2D", x, weights, 0, (x.shape[0], *size, filters), "Conv2DOptions", fields)


def depthwise(m: Maker, x: V) -> None:
    if len(x.shape) != 4:
        return
    kernel, size, fields = placed(m, x)
    if fields["dilationHFactor"] * fields["dilationWFactor"] > 1:
        fields["strideW"] = fields["strideH"]
        size = lines(
            x, kernel, (fields["strideH"],) * 2, fields["padding"],
            (fields["dilationHFactor"], fields["dilationWFactor"]),
        )  # fmt: skip
    multiplier = m.one_of(1, 1, 2, 3)
    channels = x.shape[3] * multiplier
    fields["depthMultiplier"] = multiplier
    shape = (x.shape[0], *size, channels)
    m.product("DEPTHWISE_CONV_2D", x, (1, *kernel, channels), 3, shape, "DepthwiseConv2DOptions", fields)


def transposed(m: Maker, x: V) -> None:
    if len(x.shape) != 4 or x.shape[1] * x.shape[2] > 100:
        return
    (kernel, stride, padding), filters = window(m, x), m.number(1, 30)
    ends = zip(x.shape[1:3], stride, kernel, strict=True)
    size = [n * s if padding == SAME else (n - 1) * s + k + m.number(0, s) for n, s, k in ends]
    shape = (x.shape[0], *size, filters)
    fields = {"padding": padding, "strideH": stride[0], "strideW": stride[1], "fusedActivationFunction": m.one_of(0, 1)}
    weights = (filters, *kernel, x.shape[3])
    m.product("TRANSPOSE_CONV", x, weights, 0, shape, "TransposeConvOptions", fields, (m.const(*shape),))


def dense(m: Maker, x: V) -> None:
    keep = m.maybe(0.4)
    depth, filters = x.shape[-1] if keep else int(np.prod(x.shape[1:])), m.number(1, 41)
    if depth > 3000:
        return
    shape = (*x.shape[:-1], filters) if keep else (x.shape[0], filters)
    fields = {"keepNumDims": keep, "fusedActivationFunction": m.fused()}
    m.product("FULLY_CONNECTED", x, (filters, depth), 0, shape, "FullyConnectedOptions", fields)


def matmul(m: Maker, x: V) -> None:
    if m.dtype == "uint8" or np.prod(x.shape) > 5000:
        return
    turned, n = m.maybe(0.4), m.number(1, 12)
    wanted = (*x.shape[:-2], n, x.shape[-1]) if turned else (*x.shape[:-2], x.shape[-1], n)
    same = [v for v in m.live if v.shape == wanted]
    b = m.one_of(*same) if same else m.constant(wanted, 0 if m.maybe(0.3) else None)
    spread = np.sqrt(x.shape[-1]) * 2500 / 40 * m.steps
    y = m.made((*x.shape[:-1], n), m.scale(spread * x.scale * b.scale))
    m.op("BATCH_MATMUL", [x, b], [y], "BatchMatMulOptions", adjX=False, adjY=turned)


def pool(m: Maker, x: V) -> None:
    if len(x.shape) != 4:
        return
    kernel, stride, padding = window(m, x, 5)
    if m.maybe(0.3):
        kernel, padding = x.shape[1:3], VALID
    y = m.kept(x, (x.shape[0], *lines(x, kernel, stride, padding), x.shape[3]))
    fields = {"padding": padding, "strideH": stride[0], "strideW": stride[1], "fusedActivationFunction": m.fused()}
    fields |= {"filterHeight": kernel[0], "filterWidth": kernel[1]}
    m.op(m.one_of("AVERAGE_POOL_2D", "MAX_POOL_2D"), [x], [y], "Pool2DOptions", **fields)


def blocks(m: Maker, x: V) -> None:
    """A VALID depthwise layer between SPACE_TO_BATCH_ND and its inverse, as older converters write dilation."""
    if len(x.shape) != 4 or x.shape[0] != 1:
        return
    block, starts = m.one_of((1, 2), (2, 2), (2, 1), (1, 3)), (m.number(0, 3), m.number(0, 3))
    pads = [(a, -(n + a) % b) for n, a, b in zip(x.shape[1:3], starts, block, strict=True)]
    size = [(n + sum(p)) // b for n, p, b in zip(x.shape[1:3], pads, block, strict=True)]
    count, channels, kernel = block[0] * block[1], x.shape[3], tuple(min(n, 2) for n in size)
    y = m.kept(x, (count, *size, channels))
    m.op("SPACE_TO_BATCH_ND", [x, m.const(*block), m.const(*pads)], [y], "SpaceToBatchNDOptions")
    fields = {"padding": VALID, "strideH": 1, "strideW": 1, "depthMultiplier": 1, "fusedActivationFunction": m.fused()}
    shape = (count, *(n - k + 1 for n, k in zip(size, kernel, strict=True)), channels)
    z = m.product("DEPTHWISE_CONV_2D", y, (1, *kernel, channels), 3, shape, "DepthwiseConv2DOptions", fields)
    m.live = m.live[:-2]
    crops = [(0, m.number(0, max(min(2, n * b), 1))) for n, b in zip(z.shape[1:3], block, strict=True)]
    left = (n * b - c for n, b, (_, c) in zip(z.shape[1:3], block, crops, strict=True))
    inputs = [z, m.const(*block), m.const(*crops)]
    m.op("BATCH_TO_SPACE_ND", inputs, [m.kept(z, (1, *left, channels))], "BatchToSpaceNDOptions")


KINDS = (conv, conv, depthwise, depthwise, transposed, dense, matmul, pool, blocks)
