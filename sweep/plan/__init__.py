"""Compose overrides into cells and stages, check them, predict what they take, and show it. Loads no torch."""
