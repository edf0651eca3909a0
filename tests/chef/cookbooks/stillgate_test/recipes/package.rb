# The package from a wheel, into a virtual environment of its own; its dependencies are a folder's wheels,
# or what Debian has installed.
wheels = node['stillgate_test']['wheels']
stillgate_package 'stillgate' do
  system_site_packages wheels.nil?
  pip_options(wheels ? ['--no-index', '--find-links', wheels] : %w(--no-index --no-deps))
end
