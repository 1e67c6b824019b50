"""The definition: plain ints and Fractions, one number at a time, standard library only."""
