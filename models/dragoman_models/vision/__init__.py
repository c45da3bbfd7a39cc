"""Models that look at images: classifiers, a detector, and embeddings for verification."""
