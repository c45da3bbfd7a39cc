"""Training of word vectors on plain text: word2vec and GloVe."""
