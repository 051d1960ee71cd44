"""Miniature model families, pre-trained here in under a minute, so that the whole product runs on a laptop.

The three corpora are *built* to differ as the paper's families do (`corpus.STYLES`);
whatever the minis show is a test of the pipeline, no evidence for or against the paper.
"""
