"""The records on disk: run directories, states, the ledger of a sweep, claims on a run, checkpoints. Loads no torch."""
