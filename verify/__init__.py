"""verify: which rule a backend follows, where it deviates, and on which input."""
