"""The one error that people cause and people mend."""


class UserError(Exception):
    """Bad input: shown as its message alone, exit code 2. Say what, where (cell, key, file), what to do."""
