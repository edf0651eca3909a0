"""The Python package as its users import it."""
