"""The joint protocols. Each module opens with its statement: who learns what, under which assumption."""
