"""Embeddings of images by triplet loss: is it the same character, the same person?"""
