"""The operations of the training loop: values and gradients by hand, transposes exactly, shift-BN against refq."""

import numpy as np
import pytest
from refq_cases import assert_same

from refq.batchnorm import shift_batchnorm, training_forms
from verify.digits import gradients as ops


def whole(random, *shape):
    """Small integers as float32, whose sums of products float32 holds exactly."""
    return random.integers(-4, 5, shape).astype(np.float32)


def row(*values):
    return np.array(values, np.float32)


def column(*values):
    return row(*values)[:, None]


@pytest.mark.parametrize(("size", "padding"), [(1, 0), (3, 0), (3, 1)])
def test_a_convolution_is_linear_in_both_arguments_and_its_pulls_are_the_transposes(size, padding):
    random = np.random.default_rng(1)
    x, w = whole(random, 2, 5, 4, 3), whole(random, 6, size, size, 3)
    y, pull = ops.convolve(x, w, padding=padding)
    g = whole(random, *y.shape)
    dx, dw = pull(g)
    assert dx.shape == x.shape
    assert dw.shape == w.shape
    assert (g * y).sum() == (dx * x).sum() == (dw * w).sum() != 0


def test_a_convolution_by_hand():
    x = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    y, _ = ops.convolve(x, np.ones((1, 3, 3, 1), np.float32), padding=1)
    assert_same(y[0, :, :, 0], np.array([[8, 15, 12], [21, 36, 27], [20, 33, 24]], np.float32))
    assert ops.convolve(x, np.ones((1, 3, 3, 1), np.float32), padding=1, need_input=False)[1](y)[0] is None


def test_dense_pulls_are_the_transposes():
    random = np.random.default_rng(2)
    x, w = whole(random, 3, 2, 2, 4), whole(random, 5, 16)
    y, pull = ops.dense(x, w)
    g = whole(random, 3, 5)
    dx, dw = pull(g)
    assert dx.shape == x.shape
    assert (g * y).sum() == (dx * x).sum() == (dw * w).sum() != 0


def test_batch_norm_of_two_and_two_by_hand():
    x = column(-1, -1, 1, 1)
    y, pull = ops.normalize(x, row(2), row(3), row(0), row(1), np.float32(0))
    assert_same(y, column(1, 1, 5, 5))
    dx, dgamma, dbeta = pull(column(4, 0, 0, 0))
    assert_same(dx, column(4, -4, 0, 0))
    assert_same(dgamma, row(-4))
    assert_same(dbeta, row(4))


def test_pact_codes_and_gradients_at_every_kind_of_place():
    y = row(-1, 0, 0.25, 0.5, 1.49, 2.5, 3, 4)
    value, pull = ops.quantize_clipped(y, np.asarray(np.float32(3)), 0, 3)
    assert_same(value, row(0, 0, 0, 0, 1, 2, 3, 3))
    dy, dalpha = pull(np.ones_like(y))
    assert_same(dy, row(0, 1, 1, 1, 1, 1, 0, 0))
    assert float(dalpha) == 2


def test_signed_codes_clip_at_both_ends():
    y = row(-4, -3, -1.5, 1.5, 3)
    value, pull = ops.quantize_clipped(y, np.asarray(np.float32(3)), -3, 3)
    assert_same(value, row(-3, -3, -2, 2, 3))
    dy, dalpha = pull(row(1, 2, 4, 8, 16))
    assert_same(dy, row(0, 2, 4, 8, 0))
    assert float(dalpha) == 16 - 1 - 2


def test_the_end_of_a_residual_block_clips_and_passes():
    value, pull = ops.clip_sum(row(-1, 0, 2, 3, 5), np.asarray(np.float32(3)))
    assert_same(value, row(0, 0, 2, 3, 3))
    dx, dalpha = pull(row(1, 2, 4, 8, 16))
    assert_same(dx, row(0, 2, 4, 0, 0))
    assert float(dalpha) == 24


def test_a_pool_shares_the_gradient_among_equal_maxima():
    x = row(1, 5, 5, 2, 0, 0, 7, 1).reshape(1, 2, 4, 1)
    y, pull = ops.max_pool(x, 2)
    assert_same(y, row(5, 7).reshape(1, 1, 2, 1))
    assert_same(pull(row(2, 3).reshape(1, 1, 2, 1))[0], row(0, 2, 0, 0, 0, 0, 3, 0).reshape(1, 2, 4, 1))
    equal = np.ones((1, 2, 2, 1), np.float32)
    assert_same(ops.max_pool(equal, 2)[1](row(4).reshape(1, 1, 1, 1))[0], equal)


def test_the_loss_of_equal_logits():
    loss, gradient = ops.softmax_loss(np.zeros((2, 4), np.float32), np.array([0, 3]))
    assert loss == float(np.log(np.float32(4)))
    assert_same(gradient * 8, np.array([[-3, 1, 1, 1], [1, 1, 1, -3]], np.float32))


def test_shift_quantize_by_hand():
    acc = column(-30, 10, 50)
    codes, pull = ops.shift_quantize(acc, row(10), row(40), 4, False)
    assert_same(codes, column(0, 0, 5))
    # only what is inside 0..15 passes: g = (0, 8, 8), less its mean, less its part along the deviation
    expected = [(0 - 16 / 3 + 4) / 8, (8 - 16 / 3) / 8, (8 - 16 / 3 - 4) / 8]
    assert_same(pull(column(8, 8, 8))[0].round(5), column(*expected).round(5))


@pytest.mark.parametrize("signed", [False, True])
def test_shift_quantize_equals_refq_on_the_statistics_of_a_batch(signed):
    acc = np.random.default_rng(3).integers(-900, 901, (60, 7)) * np.array([1, 2, 3, 5, 8, 13, 21])
    x = acc.astype(np.float32)
    codes, _ = ops.shift_quantize(x, x.mean(0), x.std(0, ddof=1), 4, signed)
    assert_same(codes.astype(np.int64), shift_batchnorm(acc, training_forms(acc, 4, signed)).astype(np.int64))
