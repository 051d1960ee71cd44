"""Problems: generated here or read from files; splits that never overlap."""
