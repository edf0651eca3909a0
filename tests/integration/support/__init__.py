"""The tests' own support works."""
