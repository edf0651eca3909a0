"""The bench: Stillgate beside an epoll program, asyncio and socat, in one run."""
