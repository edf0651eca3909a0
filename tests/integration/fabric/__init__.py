"""Fabric's tasks."""
