"""The quantizers by their formulas, one number at a time."""
