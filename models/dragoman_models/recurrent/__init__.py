"""Recurrences at training speed: the same arithmetic as the plain layers, with fewer products."""
