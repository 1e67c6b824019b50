"""The definition of layers, one element at a time, in Python integers and Fractions."""
