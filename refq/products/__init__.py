"""Exact integer products: bit planes, tiles, gemm, convolution, accumulators and their ranges."""
