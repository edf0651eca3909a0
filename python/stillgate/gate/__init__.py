"""The gate: the Lua file that HAProxy loads, shipped as data of the package."""
