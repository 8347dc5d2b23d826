"""Institutions: who they are (keys, cards, trust), and what they granted to whom."""
