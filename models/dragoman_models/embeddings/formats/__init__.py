"""Files of word vectors that other programs write: GloVe, word2vec and fastText."""
