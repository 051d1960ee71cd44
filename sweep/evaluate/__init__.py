"""Accuracy and behaviour against the gold answers, whatever the training reward."""
