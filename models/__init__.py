"""Model families: prompt format, stop tokens, context, resources, and loading.

Imports nothing of `sweep`. `models.config` and `models.family` are free of torch;
`models.load` and `models.mini.pretrain` are imported only inside jobs.
"""
