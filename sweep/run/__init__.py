"""The records on disk: run directories, states, costs, the ledger of a sweep, claims on a run, checkpoints, labels.
Loads no torch.
"""
