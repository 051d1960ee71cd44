"""Models: families, prompt format, stop tokens, architecture, loading and export.

Imports nothing of `sweep`. Planning imports only modules that are free of torch, such as `config`, `family`,
`architecture`, `hub`, `prompts` and `mini.shipped`. `load`, `attention`, `bfloat16` and `mini.pretrain` import torch:
jobs use them, and so do the commands `prefetch` (to make minis) and `export`.
"""
