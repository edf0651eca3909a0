# Where the program is, and which HAProxies are held where a resource does not say so itself.

# The virtual environment of stillgate_package.
default['stillgate']['path'] = '/opt/stillgate'

# What resources call; nil: bin/stillgate in that environment, else the .deb's /usr/bin/stillgate.
default['stillgate']['program'] = nil

# A .deb, a wheel, an sdist or a folder; nil: the package index, or pip's own configuration of one.
default['stillgate']['source'] = nil
default['stillgate']['version'] = nil

# What the virtual environment needs of the system.
default['stillgate']['packages'] = platform_family?('debian') ? %w(python3 python3-venv) : %w(python3)

# The name of a fleet in the inventory, or a list of endpoints.
default['stillgate']['fleet'] = nil
default['stillgate']['inventory'] = nil
