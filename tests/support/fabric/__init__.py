"""Fabric, of two versions, in a folder of the test's own."""
