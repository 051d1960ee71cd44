"""The commands of `python -m sweep`, grouped by purpose.

Importing these modules loads no torch. Of the commands, `prefetch` and `export` load it when they need it.
"""
