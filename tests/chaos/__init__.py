"""The fault matrix: every fault in every phase of a hold, with every method and version."""
