"""The commands of `python -m sweep`, by what they are for. None of them loads torch."""
