# Installs Stillgate into a virtual environment, as the attributes say.
package node['stillgate']['packages']

stillgate_package 'stillgate'
