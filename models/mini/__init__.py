"""Miniature model families, pre-trained in under a minute, so that the whole product runs on a laptop.

The three corpora are *built* to differ as the paper's families do (`corpus.STYLES`). Results of the minis therefore
test the pipeline and are no evidence for or against the paper.
"""
