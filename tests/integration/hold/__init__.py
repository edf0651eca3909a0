"""Holds by maxconn and what all holds share: lock, records, events, drain, release."""
