"""Figures of a verdict, as SVG and PNG. Others import `write`, which loads matplotlib and the rest when it draws."""
