# The package from a wheel, into a virtual environment of its own; its dependencies are a folder's wheels.
stillgate_package 'stillgate' do
  pip_options ['--no-index', '--find-links', node['stillgate_test']['wheels']]
end
