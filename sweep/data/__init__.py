"""The problems of a sweep: generated here, or read from files and hub data sets, in splits that never overlap."""
