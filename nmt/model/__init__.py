"""Batches to log-probabilities. Start reading at `seq2seq`."""
