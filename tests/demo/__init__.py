"""The demo: the main job on real HAProxies, a real application and a real PostgreSQL."""
