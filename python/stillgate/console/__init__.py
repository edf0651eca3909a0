"""What the command line and Fabric's tasks both show."""
