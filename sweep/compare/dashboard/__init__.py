"""A sweep's saved view and its report on W&B. wandb and wandb-workspaces are imported only when these are requested.

`board` says what they show, and `words` writes a verdict as Markdown: both are pure. `workspace` and `report` make
W&B's objects from a board and update existing ones. `service` talks to a server, and `show` runs all of it.
"""
