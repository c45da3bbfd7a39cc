"""The attention translator: encoder, attention, decoder, training recipe and the served model."""
