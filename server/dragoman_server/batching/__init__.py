"""Work of concurrent calls, gathered into batches, in a fair order, within bounds."""
