# Installs the gate: the Lua file that HAProxy loads, and the folder for what a reload must not lose.
unified_mode true
provides :stillgate_gate
resource_name :stillgate_gate

property :lua_file, String,
         default: '/etc/haproxy/stillgate-gate.lua',
         description: 'The Lua file, where haproxy.cfg loads it from.'

property :state_folder, String,
         default: '/var/lib/haproxy/stillgate',
         description: 'The state folder (STILLGATE_STATE in haproxy.cfg), by its full path outside the chroot.'

property :user, String,
         default: 'haproxy',
         description: "HAProxy's user, which owns the state folder."

property :group, String,
         default: 'haproxy',
         description: 'The group of the state folder.'

property :config, [String, Array],
         default: '/etc/haproxy/haproxy.cfg',
         coerce: proc { |paths| Array(paths).map(&:to_s) },
         callbacks: { 'must name a file' => ->(paths) { !paths.empty? } },
         desired_state: false,
         description: 'The configuration that must load with the gate: files or folders, as after -f.'

property :haproxy, String,
         default: '/usr/sbin/haproxy',
         desired_state: false,
         description: 'The HAProxy program that tests the configuration.'

property :program, String,
         default: lazy { StillgateCookbook::Program.of(node) },
         desired_state: false,
         description: 'The installed program.'

action_class do
  def lua
    StillgateCookbook::Program.new(new_resource.program, self).text('gate', [])
  rescue StillgateCookbook::Failed
    # A run that would install stillgate first has not done so.
    raise unless whyrun_mode?

    nil
  end

  def lua_file(text)
    file new_resource.lua_file do
      content text
      owner Process.euid
      group Process.egid
      mode '0644'
      backup false
    end
  end

  # `haproxy -c` knows the file by its path alone: the old file is restored if that fails.
  def prove(before)
    files = new_resource.config.flat_map { |path| ['-f', path] }
    done = shell_out(new_resource.haproxy, '-c', *files)
    return if done.exitstatus == 0

    put_back(before)
    words = [done.stderr, done.stdout].map(&:strip).reject(&:empty?).join("\n")
    raise StillgateCookbook::Failed, "config: HAProxy does not load it with the gate; the gate was rolled back. HAProxy said:\n#{words}"
  rescue Errno::ENOENT, Errno::EACCES => error
    put_back(before)
    raise StillgateCookbook::Failed, "haproxy: #{error.message}"
  end

  def put_back(before)
    if before
      lua_file(before)
    else
      file(new_resource.lua_file) { action :delete }
    end
  end
end

action :install, description: 'Install, and test that the configuration loads.' do
  text = lua
  if text.nil?
    converge_by("install the gate as #{new_resource.lua_file}") {}
    next
  end

  folder = directory new_resource.state_folder do
    owner new_resource.user
    group new_resource.group
    mode '0700'
  end
  before = ::File.binread(new_resource.lua_file) if ::File.file?(new_resource.lua_file)
  installed = lua_file(text)
  changed = folder.updated_by_last_action? || installed.updated_by_last_action?
  prove(before) if changed && !whyrun_mode?
end
