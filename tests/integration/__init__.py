"""Against real HAProxies, SSH servers, Fabric and Chef."""
