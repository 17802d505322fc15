"""Models rebuilt for search alone: the same translations, sooner. Start reading at `fast`.

Shapes: B sentences, R rows a sentence, N = B * R rows, S source positions, V vocabulary, E readout, H hidden size.
"""
