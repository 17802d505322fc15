"""From a step function to hypotheses: tensors in, ids out. Nothing here knows a model or a text.

Shapes: B sentences, K beams a sentence, N = rows that a step sees (B at first, then B*K), V vocabulary, T positions.
"""
