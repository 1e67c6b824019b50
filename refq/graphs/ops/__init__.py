"""Ops of graphs, one family a file."""
