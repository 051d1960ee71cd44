"""The typed configuration of a cell, and every rule among its fields. Nothing here loads torch."""
