"""Figures of a verdict, as SVG and PNG. `write` is what the others are for; matplotlib is imported by it alone."""
