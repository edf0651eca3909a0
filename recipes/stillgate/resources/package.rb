# Installs Stillgate: a .deb by apt, anything else by pip into its own virtual environment.
unified_mode true
provides :stillgate_package
resource_name :stillgate_package

property :path, String,
         default: lazy { node['stillgate']['path'] },
         description: 'The virtual environment.'

property :source, [String, nil],
         default: lazy { node['stillgate']['source'] },
         desired_state: false,
         description: 'A .deb, a wheel, an sdist or a folder; without it the package comes from an index.'

property :version, [String, nil],
         default: lazy { node['stillgate']['version'] },
         description: 'The version to have; without it, any installed one is kept.'

property :index_url, String,
         sensitive: true,
         desired_state: false,
         description: "The package index, instead of pip's own configuration. pip gets it in its environment."

property :python, String,
         default: '/usr/bin/python3',
         desired_state: false,
         description: 'The interpreter of the virtual environment.'

property :system_site_packages, [true, false],
         default: false,
         desired_state: false,
         description: "Whether the system's Python packages may serve as dependencies."

property :pip_options, Array,
         default: [],
         desired_state: false,
         description: 'More arguments for pip install.'

property :digest, String,
         skip_docs: true,
         desired_state: false,
         description: 'The checksum of the installed file; not for recipes.'

load_current_value do |wanted|
  if wanted.source.to_s.end_with?('.deb')
    asked = shell_out('dpkg-query', '--show', '--showformat', '${db:Status-Abbrev}${Version}', 'stillgate')
    current_value_does_not_exist! unless asked.exitstatus == 0 && asked.stdout.start_with?('ii ')

    version asked.stdout.split.last
    return
  end

  asked = shell_out("#{wanted.path}/bin/python", '-c', 'import importlib.metadata as m; print(m.version("stillgate"))') if ::File.exist?("#{wanted.path}/bin/python")
  current_value_does_not_exist! unless asked && asked.exitstatus == 0

  version asked.stdout.strip
  mark = "#{wanted.path}/.stillgate-source"
  digest ::File.read(mark) if ::File.exist?(mark)
end

action_class do
  def debian?
    new_resource.source.to_s.end_with?('.deb')
  end

  # Its own version; that of a file which is gone is not asked for: what is installed is kept.
  def debian_version
    shell_out!('dpkg-deb', '--field', new_resource.source, 'Version').stdout.strip if ::File.file?(new_resource.source)
  end

  # apt, and not dpkg: it installs what the package depends on, too.
  def apt_get(*words)
    shell_out!('apt-get', '--yes', *words, environment: { 'DEBIAN_FRONTEND' => 'noninteractive' }, timeout: 1800)
  end

  # A wheel that was built again has the same version as before.
  def source_digest
    source = new_resource.source
    Digest::SHA256.file(source).hexdigest if source && ::File.file?(source)
  end

  def what
    new_resource.source || ['stillgate', new_resource.version].compact.join('==')
  end

  def current_enough?(digest)
    return false if current_resource.nil?
    return false if new_resource.version && new_resource.version != current_resource.version

    digest.nil? || digest == current_resource.digest
  end

  def make_environment
    options = new_resource.system_site_packages ? ['--system-site-packages'] : []
    # Root runs what is in it: nobody else may write it, whatever the umask of the Chef run is.
    shell_out!(new_resource.python, '-m', 'venv', *options, new_resource.path, umask: 0o022)
  end

  def pip_install(digest)
    again = current_resource && digest ? ['--force-reinstall', '--no-deps'] : []
    environment = new_resource.index_url ? { 'PIP_INDEX_URL' => new_resource.index_url } : {}
    shell_out!(
      "#{new_resource.path}/bin/python", '-m', 'pip', 'install', '--disable-pip-version-check',
      *again, *new_resource.pip_options, what, environment: environment, umask: 0o022
    )
    ::File.write("#{new_resource.path}/.stillgate-source", digest.to_s)
  end
end

action :install, description: 'Install, unless it is installed already.' do
  if debian?
    next if current_resource && [nil, current_resource.version].include?(debian_version)

    converge_by("install #{what}") { apt_get('install', '--no-install-recommends', '--allow-downgrades', what) }
    next
  end
  digest = source_digest
  next if current_enough?(digest)

  converge_by("install #{what} into #{new_resource.path}") do
    make_environment unless ::File.exist?("#{new_resource.path}/bin/python")
    pip_install(digest)
  end
end

action :remove, description: 'Remove the package of Debian, if source is a .deb; else the virtual environment.' do
  if debian?
    next if current_resource.nil?

    converge_by('remove the package stillgate') { apt_get('remove', 'stillgate') }
    next
  end
  directory new_resource.path do
    recursive true
    action :delete
  end
end
