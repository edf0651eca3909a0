"""Chef's resources."""
