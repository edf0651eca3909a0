-- The request gate: holds each request of a held frontend inside HAProxy. One file for 2.2 and later.
--
-- The lines that go with it: `stillgate gate --config FRONTEND`. Runtime API:
--   stillgate sync [FRONTEND...]    looks at the switches again; changes nothing of its own accord
--   stillgate status [FRONTEND...]  the counters, as one line of JSON
--   stillgate prove FRONTEND        whether that frontend's requests come through this gate
-- Any level may call them. The switch itself needs the admin level: a process variable from 2.4
-- on, below it an entry of the stick table `stillgate`.
--
-- Everything here runs under HAProxy's one Lua lock, so no two calls ever overlap between yields.

local FORMAT = "1"
local POLL_MS = 5           -- without queues (below 2.8): how often a held request looks, while they are few
local RAMP_SLICE_MS = 50    -- how often a request that is let go later looks whether it is held again
local FOLLOW_MS = 20        -- how often a stopping worker follows the one that took over
local IDLE_MS = 250
local YOUNG_S = 5           -- so long after its start, a process may miss what its forerunner is told
local COLLECT_S = 1         -- at most so often the requests that gave up are counted
local LONGEST_MS = 24 * 3600 * 1000
local PROBE_BIND = "stillgate"

local folder = os.getenv("STILLGATE_STATE")
local probe_prefix = os.getenv("STILLGATE_PROBE") or "stillgate"
local has_queues = core.queue ~= nil

local switches = {}         -- by frontend
local started               -- when this process began to run, not when it began to read this file
local stopping = false
local collected = 0
local last_error
local state_error
local state_folder          -- where the folder is now: under a chroot its path is shorter

local function now()
  local time = core.now()
  return time.sec + time.usec / 1000000
end

local function worker_is_young()
  return not started or now() - started < YOUNG_S
end

local function encode_name(name)
  return (name:gsub("[^%w]", function(c) return string.format("_%02x", c:byte()) end))
end

local function json(value)
  local kind = type(value)
  if kind == "number" then
    return value == math.floor(value) and string.format("%d", value)
      or string.format("%.3f", value)
  elseif kind == "string" then
    return '"' .. value:gsub('[%c"\\\127-\255]', function(c)
      return string.format("\\u%04x", c:byte())
    end) .. '"'
  elseif kind == "table" then
    local parts = {}
    for key, one in pairs(value) do parts[#parts + 1] = json(key) .. ":" .. json(one) end
    table.sort(parts)
    return "{" .. table.concat(parts, ",") .. "}"
  end
  return tostring(value)
end

-- --- what a switch says ---

-- A hold is `1.ID.MILLISECONDS.release|reject.BOUND.RECORD`. The time counts from when this HAProxy
-- first saw that id, so that no two clocks need to agree, and so that a hold may be written again, with
-- another record or a longer time. `open`, or `open.MILLISECONDS` for a ramp, ends it. RECORD is
-- Stillgate's own and passed through.
local function read_token(text)
  local ramp = text:match("^open%.?(%d*)$")
  if ramp then return {open = true, ramp = (tonumber(ramp) or 0) / 1000} end
  local format, id, ms, expiry, bound, record =
    text:match("^(%d+)%.([%w_-]+)%.(%d+)%.(%a+)%.(%d+)%.([%w_-]*)$")
  ms, bound = tonumber(ms), tonumber(bound)
  if format ~= FORMAT or not ms or ms > LONGEST_MS or not bound
     or (expiry ~= "release" and expiry ~= "reject") then
    return nil
  end
  return {id = id, lasts = ms / 1000, rejects = expiry == "reject", bound = bound, record = record}
end

local function new_switch(name)
  local encoded = encode_name(name)
  return {
    name = name, mode = "open", said = nil, ended = {},
    token = nil, hold = nil, began = nil, deadline = nil,
    ramp_from = nil, ramp_over = 0, released_waiting = 0, first_ticket = 0,
    guard = "proc.stillgate_guard_" .. encoded, variable = "proc.stillgate_gate_" .. encoded,
    file = encoded, file_text = nil, read_at = 0, malformed = nil,
    waiting = 0, tickets = 0,
    counters = {most_waiting = 0, held = 0, released = 0, given_up = 0, rejected = 0, longest = 0},
  }
end

local function switch_of(name)
  local switch = switches[name]
  if not switch then
    switch = new_switch(name)
    switches[name] = switch
  end
  return switch
end

-- --- letting go ---

local function wake(switch)
  local bell = switch.bell
  if not bell then return end
  -- One each: a push wakes whoever waits, but only who finds something goes on.
  for _ = 1, switch.waiting do bell:push(true) end
end

local function open(switch, ramp)
  switch.mode = "open"
  if switch.hold then switch.ended[switch.hold.id] = true end
  switch.ramp_over, switch.ramp_from, switch.released_waiting = ramp, now(), switch.waiting
  switch.first_ticket = switch.tickets - switch.waiting
  wake(switch)
end

-- The deadline, whoever comes by first: a held request, a new one, the timer, or a command.
local function expire(switch)
  if switch.mode ~= "held" or now() < switch.deadline then return end
  if switch.hold.rejects then
    switch.mode = "rejecting"
    wake(switch)
  else
    open(switch, 0)
  end
end

-- The requests themselves do not look at the clock: a thousand that do cost a tenth of a core.
local function start_timer(switch)
  local token = switch.token
  core.register_task(function()
    while switch.token == token and switch.mode == "held" do
      core.msleep(math.max(1, math.ceil((switch.deadline - now()) * 1000)))
      expire(switch)
    end
  end)
end

local function hold(switch, token, text, began, deadline)
  if not (switch.hold and switch.hold.id == token.id) then
    switch.counters =
      {most_waiting = switch.waiting, held = switch.waiting, released = 0, given_up = 0,
       rejected = 0, longest = 0}
  end
  if not switch.bell and has_queues then switch.bell = core.queue() end
  switch.mode, switch.token, switch.hold = "held", text, token
  switch.began, switch.deadline = began, deadline
  start_timer(switch)
  expire(switch)
end

-- --- the state that outlives this process: one file per frontend ---

-- Under a chroot the configured path is found without the part that leads to the new root.
local function find_folder()
  if state_folder then return state_folder end
  local path = folder
  while path and path ~= "" do
    local handle = io.open(path, "r")
    if handle then
      handle:close()
      state_folder = path
      return path
    end
    path = path:match("^/[^/]+(/.*)$")
  end
  return nil
end

local function tell_state(error)
  state_error = error
  return error == nil
end

local function write_file(path, text)
  -- Two processes may write at once, during a reload.
  local aside = path .. "." .. tostring(core.get_info().Pid)
  local handle, why = io.open(aside, "w")
  if not handle then return tell_state(why) end
  local written, failure = handle:write(text)
  -- What a full disk refuses is told by the close, where the write was buffered.
  local closed, close_failure = handle:close()
  if not written or not closed then
    os.remove(aside)
    return tell_state(failure or close_failure or "cannot be written")
  end
  local renamed, rename_failure = os.rename(aside, path)
  if not renamed then return tell_state(rename_failure) end
  return tell_state(nil)
end

local function state_path(name)
  if not folder then return tell_state("STILLGATE_STATE is not set") end
  local where = find_folder()
  if not where then return tell_state(folder .. ": no such folder") end
  return where .. "/" .. name
end

local function save(switch)
  local path = state_path(switch.file)
  if not path then return end
  local text = string.format("open %.6f\n", now())
  if switch.mode ~= "open" then
    text = string.format("held %.6f %s\n", switch.began, switch.token)
  elseif switch.ramp_over > 0 then
    text = string.format("open %.6f %d\n", switch.ramp_from, switch.ramp_over * 1000)
  end
  switch.file_text = text
  write_file(path, text)
end

-- Beside the switches' own files: a worker that is on its way out must not overwrite what the one
-- that took over has been told.
local function try_state()
  local path = state_path(".try")
  if path and write_file(path, "") then os.remove(path) end
end

local function recall(switch)
  local where = folder and find_folder()
  local handle = where and io.open(where .. "/" .. switch.file, "r")
  switch.read_at = now()
  if not handle then return end
  local text = handle:read("a") or ""
  handle:close()
  if text == switch.file_text then return end
  switch.file_text = text
  local since, held = text:match("^held (%d+%.%d+) (%S+)\n$")
  local ramp = text:match("^open %d+%.%d+ ?(%d*)\n$")
  local token = held and read_token(held)
  if token and not token.open then
    if held == switch.token or switch.ended[token.id] then return end
    -- A clock that was set back must not make the hold any longer.
    local began = math.min(tonumber(since), now())
    hold(switch, token, held, began, began + token.lasts)
  elseif ramp then
    if switch.mode ~= "open" then open(switch, (tonumber(ramp) or 0) / 1000) end
  else
    switch.malformed = text
  end
end

-- --- the switch in HAProxy ---

local function apply(switch, text)
  -- The same words again, by whomever: a hold is not begun anew, nor a ramp.
  if text == switch.said then return end
  local token = read_token(text)
  if not token then
    switch.malformed = text
    return
  end
  switch.malformed, switch.said, switch.unsaved = nil, text, true
  if token.open then
    if switch.mode ~= "open" or switch.ramp_over > 0 then open(switch, token.ramp) end
  elseif not switch.ended[token.id] then
    local same = switch.mode ~= "open" and switch.hold.id == token.id
    local began = same and switch.began or now()
    hold(switch, token, text, began, began + token.lasts)
  end
end

-- Below 2.4: keys are FRONTEND/TOKEN; the number is 1 while it holds, 0 once it is released, and else
-- the milliseconds of a ramp.
local function carrier()
  local proxy = core.proxies["stillgate"]
  return proxy and proxy.stktable
end

local function table_says(switch)
  local held = carrier()
  local holds, released
  for key, entry in pairs(held and held:dump() or {}) do
    local frontend, text = key:match("^([^/]+)/(.+)$")
    if frontend == switch.name then
      local number = entry.gpt0 or 0
      local token = read_token(text)
      local ended = token and token.id and switch.ended[token.id]
      if number == 1 and not ended then holds = text end
      if number ~= 1 and text == switch.token then
        released = number == 0 and "open" or "open." .. number
      end
    end
  end
  return holds or released
end

local function sync(applet, switch)
  recall(switch)
  expire(switch)
  local text = applet:get_var(switch.variable)
  if text == nil or text == "" then text = table_says(switch) end
  if text then apply(switch, text) end
  -- Only ever set here and where a request is let through, under the lock: no two can cross.
  local short_cut = switch.mode == "open" and not worker_is_young()
  applet:set_var(switch.guard, short_cut and "open" or "held")
  -- Nothing new is nothing to write: this process may be the older one.
  if switch.unsaved then save(switch) end
  switch.unsaved = state_error ~= nil
end

-- --- the requests ---

-- Whether what the file says may be newer than what this process was told.
local function follow(switch)
  local stale = switch.read_at == 0
    or (stopping or worker_is_young()) and now() - switch.read_at > 0.001
  if stale then recall(switch) end
end

local left = {__gc = function(visit)
  -- HAProxy never tells an action that its client is gone; it just drops it.
  if visit.done then return end
  visit.switch.waiting = visit.switch.waiting - 1
  visit.counters.given_up = visit.counters.given_up + 1
end}

local function collect()
  if now() - collected < COLLECT_S then return end
  collectgarbage("collect")
  collected = now()
end

local function wait(switch, visit)
  while true do
    if switch.mode == "rejecting" then return false end
    if switch.mode == "open" then
      local share = visit.ticket - switch.first_ticket
      local due = switch.ramp_over == 0 and 0
        or switch.ramp_from + switch.ramp_over * share / math.max(1, switch.released_waiting)
      local left_ms = math.ceil((due - now()) * 1000)
      if left_ms <= 0 then return true end
      core.msleep(math.min(left_ms, RAMP_SLICE_MS))
    elseif switch.bell then
      switch.bell:pop_wait()
    else
      -- Thousands that look every 10 ms would cost a core.
      core.msleep(math.max(POLL_MS, switch.waiting // 64))
    end
  end
end

local function stay(switch)
  local counters = switch.counters
  if switch.hold.bound > 0 and switch.waiting >= switch.hold.bound then
    collect()
    if switch.waiting >= switch.hold.bound then
      counters.rejected = counters.rejected + 1
      return false
    end
  end
  local began = now()
  switch.tickets, switch.waiting = switch.tickets + 1, switch.waiting + 1
  counters.held = counters.held + 1
  counters.most_waiting = math.max(counters.most_waiting, switch.waiting)
  local visit = setmetatable(
    {switch = switch, counters = counters, ticket = switch.tickets}, left)
  local through = wait(switch, visit)
  visit.done = true
  switch.waiting = switch.waiting - 1
  counters.longest = math.max(counters.longest, now() - began)
  local what = through and "released" or "rejected"
  counters[what] = counters[what] + 1
  return through
end

-- Ends in an error of HAProxy's own, which no pcall may catch.
local function answer_probe(txn, name, is_http)
  if is_http then
    local reply = txn:reply({status = 204})
    reply:add_header("stillgate", name)
    txn:done(reply)
  else
    txn.res:send("HTTP/1.0 204 No Content\r\nstillgate: " .. name .. "\r\n\r\n")
    txn:done()
  end
end

local function pass(txn, answer, name)
  local switch = switch_of(name)
  follow(switch)
  expire(switch)
  if switch.mode == "rejecting" then
    switch.counters.rejected = switch.counters.rejected + 1
    return
  end
  if switch.mode == "held" and not stay(switch) then return end
  -- Held again since, or a young process that must go on looking: no short cut for others.
  if switch.mode == "open" and not worker_is_young() then txn:set_var(switch.guard, "open") end
  txn:set_var(answer, "go")
end

-- Whatever goes wrong, the answer stays at `wait`, and the line behind refuses the request.
local function gate(answer, is_http)
  return function(txn)
    txn:set_var(answer, "wait")
    local name = txn.f:fe_name()
    if txn.f:so_name() == PROBE_BIND then return answer_probe(txn, name, is_http) end
    local fine, why = pcall(pass, txn, answer, name)
    if not fine then last_error = tostring(why) end
  end
end

core.register_action("stillgate", {"http-req"}, gate("txn.stillgate", true))
core.register_action("stillgate_tcp", {"tcp-req"}, gate("sess.stillgate", false))

-- --- what is told ---

local function describe(switch)
  follow(switch)
  expire(switch)
  local counters = switch.counters
  local told = {
    mode = switch.mode, waiting = switch.waiting, most_waiting = counters.most_waiting,
    held = counters.held, released = counters.released, given_up = counters.given_up,
    rejected = counters.rejected, longest_wait_ms = counters.longest * 1000,
    malformed = switch.malformed,
  }
  if switch.mode ~= "open" then
    told.id, told.token = switch.hold.id, switch.token
    told.remaining_ms = math.max(0, (switch.deadline - now()) * 1000)
  end
  return told
end

local function status(applet, names)
  local told, waiting = {}, 0
  for name, switch in pairs(switches) do
    waiting = waiting + switch.waiting
    if #names == 0 then told[name] = switch end
  end
  for _, name in ipairs(names) do told[name] = switch_of(name) end
  if waiting > 0 then collect() end
  for name, switch in pairs(told) do told[name] = describe(switch) end
  applet:send(json({
    format = tonumber(FORMAT), stopping = stopping, folder = folder, state_error = state_error,
    error = last_error, table = carrier() ~= nil, frontends = told,
  }) .. "\n")
end

local function names_in(...)
  local names = {...}
  -- The words of the command itself come first.
  table.remove(names, 1)
  table.remove(names, 1)
  for index = #names, 1, -1 do
    if names[index] == "" then table.remove(names, index) end
  end
  return names
end

core.register_cli({"stillgate", "sync"}, "stillgate sync [FRONTEND...]", function(applet, ...)
  local names = names_in(...)
  if #names == 0 then
    for name in pairs(switches) do names[#names + 1] = name end
  end
  for _, name in ipairs(names) do
    local fine, why = pcall(sync, applet, switch_of(name))
    if not fine then last_error = tostring(why) end
  end
  status(applet, names)
end)

core.register_cli({"stillgate", "status"}, "stillgate status [FRONTEND...]", function(applet, ...)
  status(applet, names_in(...))
end)

local function prove(name)
  local socket = core.tcp()
  socket:settimeout(2)
  local fine, why = socket:connect("abns@" .. probe_prefix .. "-" .. name)
  if not fine then return nil, why or "nobody listens there" end
  socket:send("GET / HTTP/1.0\r\n\r\n")
  local text = socket:receive("*a") or ""
  socket:close()
  local said = text:match("\nstillgate: ([^\r\n]+)")
  if said == name then return true end
  return nil, "answered " .. (text:match("^[^\r\n]*") or "nothing")
end

core.register_cli({"stillgate", "prove"}, "stillgate prove FRONTEND", function(applet, ...)
  local told = {}
  for _, name in ipairs(names_in(...)) do
    local fine, proven, why = pcall(prove, name)
    told[name] = {proven = fine and proven or false, why = (not fine and tostring(proven)) or why}
  end
  try_state()
  applet:send(json({format = tonumber(FORMAT), state_error = state_error, frontends = told}) .. "\n")
end)

core.register_task(function()
  started = now()
  while true do
    local waiting = 0
    for _, switch in pairs(switches) do
      expire(switch)
      waiting = waiting + switch.waiting
    end
    core.msleep((waiting > 0 or stopping) and FOLLOW_MS or IDLE_MS)
    stopping = tostring(core.get_info().Stopping) == "1"
    if stopping or worker_is_young() then
      for _, switch in pairs(switches) do recall(switch) end
    end
  end
end)
