"""Layers on arrays: what the ops of real models compute, each under named rules."""
