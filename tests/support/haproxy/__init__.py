"""HAProxies of four versions, with and without the gate, and what is asked of holds there."""
