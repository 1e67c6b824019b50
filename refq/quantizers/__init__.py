"""Quantizers of the papers: choose the range or the bins, then quantize; real numbers in, integer codes out."""
