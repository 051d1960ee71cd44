"""The one error that people cause and people mend."""

import errno

# The disk is full, a quota is used up, the place is read-only or another user's: what people mend outside the project.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


class UserError(Exception):
    """Bad input: shown as its message alone, exit code 2. Say what, where (cell, key, file), what to do."""
