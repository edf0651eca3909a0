"""The command `stillgate`."""
