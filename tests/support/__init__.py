"""What tests, the demo, chaos and the bench stand on."""

import os

# CI may run them in a container whose PID 1 is no init, and their guards need to live no longer
# than that. The tests of that itself (integration/guard/test_fate.py) take it away again.
os.environ.setdefault("STILLGATE_ACCEPT_SHARED_FATE", "1")
