# A chef-client that forks: each connection to its socket is one run, as quick as if Ruby had loaded Chef already.
#
#   bundle.sh exec ruby fork_server.rb SOCKET
#
# Gets a line of JSON with the words of a command line, where the output goes and the environment. Says the
# run's process id, and at its end its status.
require 'chef'
require 'chef/application/client'
require 'chef/local_mode'
require 'chef_zero/server'
require 'json'
require 'socket'

def run(words, output, environment)
  Process.setsid
  STDIN.reopen(File::NULL)
  [STDOUT, STDERR].each { |stream| stream.reopen(output, 'a') }
  ENV.update(environment)
  ARGV.replace(words)
  Chef::Application::Client.new.run(enforce_license: true)
end

UNIXServer.open(ARGV.fetch(0)) do |server|
  STDOUT.puts('ready')
  STDOUT.flush
  loop do
    connection = server.accept
    asked = JSON.parse(connection.gets)
    pid = fork do
      server.close
      connection.close
      run(asked['words'], asked['output'], asked['environment'])
    end
    connection.puts(pid)
    status = Process.wait2(pid).last
    connection.puts(status.exitstatus || -status.termsig)
    connection.close
  end
end
