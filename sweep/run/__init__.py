"""The run directory: its format, atomic writes, states, provenance, and the keys of every random draw."""
