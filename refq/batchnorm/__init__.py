"""Batch norm without floats: exact target, optimal fixed point, shift and threshold forms (docs/batchnorm.md)."""
