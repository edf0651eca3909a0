"""Clients of every kind, and load made of them."""
