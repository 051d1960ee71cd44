"""RLVR Sweep. A sweep is planned, dispatched to jobs, trained and evaluated in stages, recorded, and compared."""

__version__ = "0.1.0"
