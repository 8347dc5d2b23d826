"""Tongzhou 同舟: institutions decide together while every record stays with its owner."""

__version__ = "0.1.0"

__all__ = ["__version__"]
