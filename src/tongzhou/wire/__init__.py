"""Sessions between parties: typed, bounded frames over mutual TLS, with counts, timeouts and plain sentences.

``frames`` says how a message looks as bytes, ``link`` what every link does with it, ``memory`` joins
parties of one process, ``tls`` joins institutions, ``hello`` is what they say first,
``session`` opens and ends a run.
"""
