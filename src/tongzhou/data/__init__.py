"""Tables in and out, quality findings, normal forms of identifiers, and the bundled example.

This room knows tables only: nothing of institutions, networks or models.
"""

__all__: list[str] = []
