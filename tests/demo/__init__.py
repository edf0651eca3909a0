"""The demo: a migration under load, and a playground."""
