"""Recurrent language models: cells, network, training, evaluation, scoring and generation."""
