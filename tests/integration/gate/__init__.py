"""Holds by the gate."""
