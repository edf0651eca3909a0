"""OpenSSH servers of a test's own, and the client's side of them."""
