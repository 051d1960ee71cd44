"""A sweep's saved view and its report on W&B. Only who asks for them imports wandb and wandb-workspaces.

`board` says what they are to show and `words` puts a verdict into Markdown: both are pure. `workspace` and `report`
make W&B's objects of it and renew those that are there. `service` talks to a server, and `show` does it all.
"""
