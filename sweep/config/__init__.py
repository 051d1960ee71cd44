"""The typed configuration of a cell, and all rules across its fields. Loads no torch."""
