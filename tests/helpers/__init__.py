"""What several tests use. Tests import from here, and never from each other; `tests/programs` holds what they start."""

import os

# Tests run side by side: threads that wait for a core while others hold it make everything several times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
