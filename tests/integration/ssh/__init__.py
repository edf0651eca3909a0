"""HAProxies behind SSH servers."""
