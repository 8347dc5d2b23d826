"""One owner's own modelling: bins, weights of evidence, regression, scorecards, evaluation.

Joint work between institutions uses the same objects, filled with counts and coefficients that a protocol
of the room ``secure`` has computed.
"""
