"""The real chef-client, and what it is let loose on."""
