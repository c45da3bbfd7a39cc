"""Word vectors: lookup, similarity, nearest neighbours, analogies and their evaluation."""
