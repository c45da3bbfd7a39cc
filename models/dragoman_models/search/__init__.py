"""Search over sequences: one beam search for every model that predicts the next token."""
