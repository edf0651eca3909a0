"""What the tests stand on: real HAProxies, a real application, load, and peers that misbehave."""
