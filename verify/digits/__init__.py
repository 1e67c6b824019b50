"""Handwritten digits from training to integer-only networks: `refq demo digits` (docs/digits.md)."""
