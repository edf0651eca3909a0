# The package from a wheel, into a virtual environment that has the system's click and rich.
stillgate_package 'stillgate' do
  system_site_packages true
  pip_options %w(--no-index --no-deps)
end
