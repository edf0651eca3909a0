-- The request gate: holds each request of a held frontend inside HAProxy. One file for 2.2 and later.
--
-- The lines that go with it: `stillgate gate --config FRONTEND`. Runtime API:
--   stillgate sync [FRONTEND...]    reads the switches again; changes nothing by itself
--   stillgate status [FRONTEND...]  the counters, as one line of JSON
--   stillgate prove [FRONTEND...]   whether that frontend's requests come through this gate
--   stillgate lock FRONTEND ID MILLISECONDS RECORD  takes the lock on a hold of that frontend, if it is
--                                   free; holds nothing
--   stillgate unlock FRONTEND ID    frees it, if that id has it
-- Any level may call them: names that are not frontends of this HAProxy are ignored, so that nobody can
-- fill its memory or the state folder with names. The switch itself needs the admin level: a process
-- variable from 2.4 on, below it an entry of the stick table `stillgate`.
--
-- Everything here runs under HAProxy's one Lua lock, so no two calls ever overlap between yields.

local FORMAT = "1"
local POLL_MS = 4           -- without queues (below 2.8): how often a held request checks, while they are few
local CALL_MS = 10          -- the same in tcp mode, where it may not sleep and costs more
local CALLS_TO_TIDY = 256
local RAMP_SLICE_MS = 50    -- how often a request that is released later checks whether it is held again
local FOLLOW_MS = 20        -- how often a stopping worker follows the new one
local IDLE_MS = 250
local YOUNG_S = 5           -- this long after its start, a process may miss a command to the old process
local COLLECT_S = 1         -- requests that gave up are counted at most this often
local TICK_S = 0.01         -- the resolution of /proc/uptime; it is read at most this often
local SAVE_AGAIN_S = 1      -- how often a failed write of the state is retried
local LARGEST_STATE = 16384 -- no command line of HAProxy is longer, so no state file either
local LONGEST_MS = 24 * 3600 * 1000
local LONGEST_TOLD = 200    -- bytes of a malformed text
local PROBE_BIND = "stillgate"
local PROBE_LOOKS = 100     -- how often the first byte of a probe in tcp mode is checked

local folder = os.getenv("STILLGATE_STATE")
local probe_prefix = os.getenv("STILLGATE_PROBE") or "stillgate"
local has_queues = core.queue ~= nil

local OURS = {}             -- marks our own values
local switches = {}         -- by frontend
local started               -- when this process began to run, not when it read this file
local stopping = false
local pid = 0
local collected = 0
local last_error
local state_error
local state_folder          -- where the folder is now: under a chroot its path is shorter

local function now()
  local time = core.now()
  return time.sec + time.usec / 1000000
end

-- Opened here, because a chroot has no such file, and without a buffer, which would only ever show the
-- first reading.
local uptime_file = io.open("/proc/uptime", "r")
if uptime_file then uptime_file:setvbuf("no") end

local function uptime()
  local text = uptime_file and uptime_file:seek("set") and uptime_file:read(64)
  return text and tonumber(text:match("^[%d.]+") or "")
end

local booted_at             -- on the clock below; nil without /proc/uptime

-- The clock of deadlines: the wall clock at the start of this process, plus the kernel's seconds since
-- then. HAProxy's own clock loses the time for which it was frozen (seen on 2.2, 2.6 and 3.0), and
-- counts a step of the wall clock during its work as passed time (2.6).
local function clock()
  local up = uptime()
  if not up then return now() end
  booted_at = booted_at or now() - up
  return booted_at + up
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

-- A hold is `1.ID.MILLISECONDS[_UNTIL].release|reject.BOUND.RECORD`. The time counts from when this
-- HAProxy first saw that id, so that no two clocks need to agree, and so that a hold may be written
-- again, with another record or a longer time. UNTIL is an instant of this process's own clock in
-- milliseconds, as `stillgate status` reports it: a switch that was long in transit does not hold longer.
-- A process that reads the hold from a file uses the clock of the process that got it first.
-- `open`, or `open.MILLISECONDS` for a ramp, ends it. RECORD is Stillgate's own, and kept unchanged.
local function read_token(text)
  local ramp = text:match("^open%.?(%d*)$")
  if ramp then return {open = true, ramp = (tonumber(ramp) or 0) / 1000} end
  local format, id, ms, until_ms, expiry, bound, record =
    text:match("^(%d+)%.([%w_-]+)%.(%d+)_?(%d*)%.(%a+)%.(%d+)%.([%w_-]*)$")
  ms, bound = tonumber(ms), tonumber(bound)
  if format ~= FORMAT or not ms or ms > LONGEST_MS or not bound
     or (expiry ~= "release" and expiry ~= "reject") then
    return nil
  end
  local ends = tonumber(until_ms)
  return {id = id, lasts = ms / 1000, ends = ends and ends / 1000, rejects = expiry == "reject",
    bound = bound, record = record}
end

local function deadline_of(token, began)
  return math.min(began + token.lasts, token.ends or math.huge)
end

local function new_switch(name)
  local encoded = encode_name(name)
  return {
    name = name, mode = "open", said = nil, known = {}, ended = {},
    token = nil, hold = nil, deadline = nil,
    lock = nil,               -- who is about to hold, or holds: {id, ends, record}
    -- On the clock of the process that got the hold first, as UNTIL is; ours is `ahead` of it.
    began = nil, ahead = 0, clock_at = 0,
    ramp_from = nil, ramp_over = 0,
    guard = "proc.stillgate_guard_" .. encoded, variable = "proc.stillgate_gate_" .. encoded,
    file = encoded, seen = nil, read_at = 0, unsaved = false, tried_at = 0, malformed = nil,
    -- Weak: must not keep a request alive that HAProxy has dropped.
    waiting = 0, tickets = 0, visits = setmetatable({}, {__mode = "v"}),
    counters = {most_waiting = 0, held = 0, released = 0, given_up = 0, rejected = 0, longest = 0},
  }
end

local function switch_of(name)
  local switch = switches[name]
  if not switch and core.frontends[name] then
    switch = new_switch(name)
    switches[name] = switch
  end
  return switch
end

-- --- releasing ---

-- Counts the requests that gave up, and removes them from `visits`.
local function collect()
  collectgarbage("collect")
  collected = now()
end

-- The waiting requests, in order of arrival.
local function visits_of(switch)
  local found = {}
  for _, visit in pairs(switch.visits) do
    if not visit.done then found[#found + 1] = visit end
  end
  table.sort(found, function(a, b) return a.ticket < b.ticket end)
  return found
end

-- At once, or evenly over `ramp` seconds.
--
-- A queue keeps the task of a request that was dropped while it waited there, and a push would wake a
-- task that no longer exists. So each request has its own queue, and dropped requests are collected
-- first: until then their tasks exist, because HAProxy needs our lock to free them.
local function wake(switch, ramp)
  if switch.waiting == 0 then return end
  collect()
  local visits, from = visits_of(switch), now()
  for index, visit in ipairs(visits) do
    visit.due = ramp > 0 and from + ramp * index / #visits or 0
    if visit.bell then visit.bell:push(true) end
  end
end

local function open(switch, ramp)
  switch.mode = "open"
  if switch.hold then switch.ended[switch.hold.id] = true end
  switch.ramp_over, switch.ramp_from = ramp, now()
  wake(switch, ramp)
end

-- The deadline, noticed first by a held request, a new one, the timer, or a command.
local function expire(switch)
  if switch.mode ~= "held" or math.abs(now() - switch.clock_at) < TICK_S then return end
  switch.clock_at = now()
  -- The reading by which the deadline was told may have been late by a tick: late is right, early is not.
  if clock() - TICK_S < switch.deadline then return end
  if switch.hold.rejects then
    switch.mode = "rejecting"
    wake(switch, 0)
  else
    open(switch, 0)
  end
end

-- Not the requests themselves: a thousand that read the clock cost a tenth of a core. It sleeps in
-- steps, because HAProxy's timers are late by the time for which it was frozen.
local function start_timer(switch)
  local token = switch.token
  core.register_task(function()
    while switch.token == token and switch.mode == "held" do
      local left_ms = math.ceil((switch.deadline + TICK_S - clock()) * 1000)
      core.msleep(math.max(1, math.min(left_ms, IDLE_MS)))
      expire(switch)
    end
  end)
end

local function hold(switch, token, text, began, ahead)
  if not (switch.hold and switch.hold.id == token.id) then
    switch.counters =
      {most_waiting = switch.waiting, held = switch.waiting, released = 0, given_up = 0,
       rejected = 0, longest = 0}
  end
  switch.mode, switch.token, switch.hold = "held", text, token
  switch.began, switch.ahead, switch.clock_at = began, ahead, 0
  switch.deadline = deadline_of(token, began) + ahead
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
  -- Only of this process: around a reload two may write.
  local aside = path .. "." .. pid .. ".new"
  local handle, why = io.open(aside, "w")
  if not handle then return tell_state(why) end
  local written, failure = handle:write(text)
  -- A full disk shows only at the close, if the write was buffered.
  local closed, close_failure = handle:close()
  if not written or not closed then
    os.remove(aside)
    return tell_state(failure or close_failure or "cannot be written")
  end
  if not path:match("/$") then
    local renamed, rename_failure = os.rename(aside, path)
    if renamed then return tell_state(nil) end
    failure = rename_failure
  end
  os.remove(aside)
  return tell_state(failure)
end

local function folder_or_why()
  if not folder then return nil, "STILLGATE_STATE is not set" end
  local where = find_folder()
  if where then return where end
  return nil, folder .. ": no such folder"
end

-- Behind the microseconds of a hold's beginning come the milliseconds of /proc/uptime at its deadline, by
-- which each process finds it on its own clock. A gate that does not know them reads one number.
local function state_of(switch)
  if switch.mode ~= "open" then
    local up_ms = booted_at and math.max(0, math.ceil((switch.deadline - booted_at) * 1000))
    return string.format("held %.6f%s %s\n", switch.began,
      up_ms and string.format("%012d", up_ms) or "", switch.token)
  elseif switch.ramp_over > 0 then
    return string.format("open %.6f %d\n", switch.ramp_from, switch.ramp_over * 1000)
  end
  return string.format("open %.6f\n", now())
end

-- Writes only what this process got by a command: what it has read, or what a deadline did, every
-- other process knows, too, and may know better.
local function save(switch)
  local where, why = folder_or_why()
  if not where then return tell_state(why) end
  local path, text = where .. "/" .. switch.file, state_of(switch)
  switch.tried_at = now()
  if write_file(path, text) then
    switch.seen, switch.unsaved = text, false
  elseif switch.mode == "open" and os.remove(path) then
    -- No state is better than a state that would hold again after the next reload.
    switch.seen = nil
  end
end

-- Whether the folder can be written; state_error says why not.
local function try_folder()
  local where, why = folder_or_why()
  if not where then return tell_state(why) end
  write_file(where .. "/", "a try\n")
end

local function read_since(text)
  local since, up_ms = text:match("^(%d+%.%d%d%d%d%d%d)(%d+)$")
  return tonumber(since or text), up_ms and tonumber(up_ms) / 1000
end

-- When a hold that was found began, and by how much our clock is ahead of the one that this is told on.
-- After a boot more than the whole hold would seem to be left: then the wall clock has to do, as without
-- the kernel's time, and one that was set back must not make the hold any longer.
local function place(token, since, up_until)
  local here, ends = clock(), deadline_of(token, since)
  local deadline = booted_at and up_until and booted_at + up_until
  if deadline and deadline - here <= ends - since + TICK_S then return since, deadline - ends end
  return math.min(since, here), 0
end

local function recall(switch)
  local where = folder and find_folder()
  local handle = where and io.open(where .. "/" .. switch.file, "r")
  switch.read_at = now()
  if not handle then return end
  local text = handle:read(LARGEST_STATE) or ""
  handle:close()
  -- A state from before this process got its command is old, even if it could not write its own.
  if text == switch.seen then return end
  switch.seen = text
  local since, held = text:match("^held (%d+%.%d+) (%S+)\n$")
  local ramp = text:match("^open %d+%.%d+ ?(%d*)\n$")
  local token = held and read_token(held)
  if token and not token.open then
    switch.unsaved = false
    if held == switch.token or switch.ended[token.id] then return end
    hold(switch, token, held, place(token, read_since(since)))
  elseif ramp then
    switch.unsaved = false
    if switch.mode ~= "open" then open(switch, (tonumber(ramp) or 0) / 1000) end
  else
    switch.malformed = text
  end
end

-- --- the switch in HAProxy ---

local function apply(switch, text)
  -- The same token again: neither the hold nor a ramp begins again.
  if text == switch.said then return end
  local token = read_token(text)
  if not token then
    switch.malformed = text
    return
  end
  switch.malformed, switch.said = nil, text
  if token.open then
    -- It has ended here already, but others may still follow the file and hold.
    local held_elsewhere = switch.seen and switch.seen:match("^held ")
    if switch.mode ~= "open" or switch.ramp_over > 0 or held_elsewhere then
      open(switch, token.ramp)
      switch.unsaved = true
    end
  elseif not switch.ended[token.id] then
    local same = switch.mode ~= "open" and switch.hold.id == token.id
    local began, ahead = clock(), 0
    if same then began, ahead = switch.began, switch.ahead end
    -- Its deadline passed before it came: it does not begin, not even to reject.
    if not same and deadline_of(token, began) <= began then
      switch.ended[token.id] = true
      return
    end
    if not same then switch.known = {} end
    switch.known[text] = true
    hold(switch, token, text, began, ahead)
    switch.unsaved = true
  end
end

-- Below 2.4: keys are FRONTEND/TOKEN; the number is 1 while it holds, 0 when it is released, otherwise
-- the milliseconds of a ramp.
local function carrier()
  local proxy = core.proxies["stillgate"]
  return proxy and proxy.stktable
end

local function table_says(switch)
  local held = carrier()
  local news, holds, released
  for key, entry in pairs(held and held:dump() or {}) do
    local frontend, text = key:match("^([^/]+)/(.+)$")
    if frontend == switch.name then
      local number = entry.gpt0 or 0
      local token = read_token(text)
      local ended = token and token.id and switch.ended[token.id]
      -- Entries have no order, and an extended hold has two.
      if number == 1 and not token then
        switch.malformed = text
      elseif number == 1 and not ended then
        if not switch.known[text] then news = text elseif text == switch.said then holds = text end
      end
      if number ~= 1 and text == switch.token then
        released = number == 0 and "open" or "open." .. number
      end
    end
  end
  return news or holds or released
end

local function sync(applet, switch)
  recall(switch)
  expire(switch)
  local text = applet:get_var(switch.variable)
  if text == nil or text == "" then text = table_says(switch) end
  if text then apply(switch, text) end
  -- Set only here and where a request passes, under the lock: two writes cannot overlap.
  local short_cut = switch.mode == "open" and not worker_is_young()
  applet:set_var(switch.guard, short_cut and "open" or "held")
  if switch.unsaved then save(switch) end
end

-- --- the requests ---

-- Whether the file may be newer than the last command to this process.
local function follow(switch)
  local stale = switch.read_at == 0
    or (stopping or worker_is_young()) and now() - switch.read_at > 0.001
  if stale then recall(switch) end
end

local left = {__gc = function(visit)
  -- HAProxy does not notify an action when its client has gone; it drops the action.
  if visit.done then return end
  local switch = visit.switch
  switch.waiting = switch.waiting - 1
  switch.counters.given_up = switch.counters.given_up + 1
end}

local function collect_now_and_then()
  if now() - collected >= COLLECT_S then collect() end
end

local function due_in_ms(visit)
  return math.ceil(((visit.due or 0) - now()) * 1000)
end

-- Whether the request passes. Held requests take the shortest path: a thousand check repeatedly.
local function wait(visit)
  local switch, bell = visit.switch, visit.bell
  while true do
    if switch.mode == "held" then
      if bell then
        bell:pop_wait()
      else
        -- Thousands that check every 4 ms would cost a core.
        core.msleep(math.max(POLL_MS, switch.waiting // 64))
      end
    elseif switch.mode == "rejecting" then
      return false
    else
      local left_ms = due_in_ms(visit)
      if left_ms <= 0 then return true end
      core.msleep(math.min(left_ms, RAMP_SLICE_MS))
    end
  end
end

-- The same for an action that may not sleep: nil, and after how many milliseconds to check again.
local function look_again(visit)
  local switch = visit.switch
  if switch.mode == "held" then return nil, math.max(CALL_MS, switch.waiting // 16) end
  if switch.mode == "rejecting" then return false end
  local left_ms = due_in_ms(visit)
  if left_ms <= 0 then return true end
  return nil, math.min(left_ms, RAMP_SLICE_MS)
end

-- Nil if max_waiting is reached.
local function enter(switch, may_sleep)
  if switch.hold.bound > 0 and switch.waiting >= switch.hold.bound then
    collect_now_and_then()
    if switch.waiting >= switch.hold.bound then
      switch.counters.rejected = switch.counters.rejected + 1
      return nil
    end
  end
  switch.tickets, switch.waiting = switch.tickets + 1, switch.waiting + 1
  switch.counters.held = switch.counters.held + 1
  switch.counters.most_waiting = math.max(switch.counters.most_waiting, switch.waiting)
  local visit = setmetatable({switch = switch, ticket = switch.tickets, began = now(), mark = OURS,
                              bell = has_queues and core.queue() or nil,
                              calls = not may_sleep and 0 or nil}, left)
  switch.visits[visit.ticket] = visit
  return visit
end

local function leave(visit, through)
  local switch = visit.switch
  visit.done, switch.visits[visit.ticket] = true, nil
  switch.waiting = switch.waiting - 1
  -- The counters of the hold that it waits in now, which may have begun after this request came.
  local counters, what = switch.counters, through and "released" or "rejected"
  counters.longest = math.max(counters.longest, now() - visit.began)
  counters[what] = counters[what] + 1
  return through
end

-- In tcp mode HAProxy 2.6 loses the wake-up of a sleeping action that is already due when HAProxy stores
-- it: it reads the clock after the Lua code, and another thread's Lua or a busy machine sometimes takes
-- 4 ms. Such a connection slept until its inspect-delay was over (one in some hundreds). So there an action
-- returns instead of sleeping, and is called again: in between, the clock is not read. From 2.8 on, where
-- there are queues, it is never read after Lua code.
local function sleep_between_calls(txn, kept, ms)
  txn:set_priv(kept)
  act.wake_time(ms)
  return act.YIELD
end

-- The value that sleep_between_calls() stored; another script may store something, too.
local function kept_of(txn)
  local kept = txn:get_priv()
  return type(kept) == "table" and kept.mark == OURS and kept or nil
end

-- Below 2.6 the first timer releases a waiting connection, as if its inspect-delay were over: such a gate
-- must not be proven.
local function tcp_holds()
  local major, minor = tostring(core.get_info().Version):match("^(%d+)%.(%d+)")
  return major ~= nil and tonumber(major) * 100 + tonumber(minor) >= 206
end

local function answer_probe(txn, is_http, kept)
  local name = txn.f:fe_name()
  if is_http then
    local reply = txn:reply({status = 204})
    reply:add_header("stillgate", name)
    txn:done(reply)
  elseif not tcp_holds() then
    txn:done()
  else
    -- A connection that is closed with unread bytes is reset, and the answer is lost.
    local looks = kept and kept.looks or 0
    if looks < PROBE_LOOKS and (tonumber(txn.f:req_len()) or 0) == 0 then
      return sleep_between_calls(txn, {mark = OURS, looks = looks + 1}, POLL_MS)
    end
    txn.res:send("HTTP/1.0 204 No Content\r\nstillgate: " .. name .. "\r\n\r\n")
    txn:done()
  end
end

local function pass(txn, answer, switch)
  -- Held again meanwhile, or a young process that must keep checking: no short cut for others.
  if switch.mode == "open" and not worker_is_young() then txn:set_var(switch.guard, "open") end
  txn:set_var(answer, "go")
end

local function arrive(txn, answer, may_sleep)
  local switch = switch_of(txn.f:fe_name())
  follow(switch)
  expire(switch)
  if switch.mode == "rejecting" then
    switch.counters.rejected = switch.counters.rejected + 1
    return
  end
  if switch.mode == "held" then
    local visit = enter(switch, may_sleep)
    if not visit then return end
    if visit.calls then return sleep_between_calls(txn, visit, CALL_MS) end
    if not leave(visit, wait(visit)) then return end
  end
  pass(txn, answer, switch)
end

local function come_again(txn, answer, visit)
  local through, pause_ms = look_again(visit)
  if through == nil then
    visit.calls = visit.calls + 1
    return sleep_between_calls(txn, visit, pause_ms)
  end
  txn:set_priv(nil)
  if leave(visit, through) then pass(txn, answer, visit.switch) end
end

-- After any failure the answer stays `wait`, and the next line refuses the request. `done` ends the action
-- by an error of HAProxy's own, which no pcall may catch.
local function gate(answer, is_http)
  local may_sleep = is_http or has_queues
  return function(txn)
    local kept = not is_http and kept_of(txn) or nil
    if not kept then
      txn:set_var(answer, "wait")
      -- So the next request knows it, however rarely our own task checks.
      local replaced = txn.f:stopping()
      stopping = stopping or replaced == true or replaced == 1
    end
    local fine, said
    if kept and kept.calls then
      fine, said = pcall(come_again, txn, answer, kept)
    elseif txn.f:so_name() == PROBE_BIND then
      return answer_probe(txn, is_http, kept)
    else
      fine, said = pcall(arrive, txn, answer, may_sleep)
    end
    if not fine then
      last_error = tostring(said)
      return
    end
    -- Each return leaves a value in the request's coroutine, so the coroutine is replaced.
    if said and kept and kept.calls % CALLS_TO_TIDY == 0 then core.done(said) end
    return said
  end
end

core.register_action("stillgate", {"http-req"}, gate("txn.stillgate", true))
core.register_action("stillgate_tcp", {"tcp-req"}, gate("sess.stillgate", false))

-- --- status and proof ---

-- Who may hold: whoever holds, or whoever took the lock, until his hold or his time ends. Nobody has to
-- give back the lock of a suspend that died: it is free from its deadline on, and its switch comes too late
-- then, too.
local function holder_of(switch)
  expire(switch)
  local lock = switch.lock
  if switch.mode ~= "open" then
    return {id = switch.hold.id, record = switch.hold.record}
  elseif lock and not switch.ended[lock.id] and clock() < lock.ends then
    return {id = lock.id, record = lock.record}
  end
  return nil
end

-- Compare and set: nothing yields between the look and the write.
local function take_lock(switch, id, ms, record)
  recall(switch)
  local holder = holder_of(switch)
  if holder and holder.id ~= id then return end
  switch.lock = {id = id, ends = clock() + ms / 1000, record = record}
end

local function describe(switch)
  follow(switch)
  expire(switch)
  local counters, longest = switch.counters, switch.counters.longest
  for _, visit in pairs(switch.visits) do longest = math.max(longest, now() - visit.began) end
  local told = {
    mode = switch.mode, waiting = switch.waiting, most_waiting = counters.most_waiting,
    held = counters.held, released = counters.released, given_up = counters.given_up,
    rejected = counters.rejected, longest_wait_ms = longest * 1000,
    malformed = switch.malformed and switch.malformed:sub(1, LONGEST_TOLD),
  }
  if switch.mode ~= "open" then
    told.id, told.token = switch.hold.id, switch.token
    told.remaining_ms = math.max(0, (switch.deadline - clock()) * 1000)
  end
  local holder = holder_of(switch)
  if holder then told.lock_id, told.lock_record = holder.id, holder.record end
  return told
end

local function status(applet, names)
  local told, waiting = {}, 0
  for _, switch in pairs(switches) do waiting = waiting + switch.waiting end
  if waiting > 0 then collect_now_and_then() end
  for _, name in ipairs(names) do told[name] = describe(switch_of(name)) end
  applet:send(json({
    format = tonumber(FORMAT), stopping = stopping, folder = folder, state_error = state_error,
    locks = true, error = last_error, table = carrier() ~= nil, now_ms = math.floor(clock() * 1000),
    frontends = told,
  }) .. "\n")
end

-- The frontends named after the two words of the command; without any, all.
local function names_in(...)
  local typed, names = {...}, {}
  for index = 3, #typed do
    if core.frontends[typed[index]] then names[#names + 1] = typed[index] end
  end
  if (typed[3] or "") == "" then
    for name in pairs(core.frontends) do names[#names + 1] = name end
  end
  return names
end

core.register_cli({"stillgate", "sync"}, "stillgate sync [FRONTEND...]", function(applet, ...)
  local names = names_in(...)
  for _, name in ipairs(names) do
    local fine, why = pcall(sync, applet, switch_of(name))
    if not fine then last_error = tostring(why) end
  end
  status(applet, names)
end)

core.register_cli({"stillgate", "status"}, "stillgate status [FRONTEND...]", function(applet, ...)
  status(applet, names_in(...))
end)

-- At most one lock for each frontend, and none for longer than a hold may last.
core.register_cli({"stillgate", "lock"}, "stillgate lock FRONTEND ID MILLISECONDS RECORD",
  function(applet, _, _, name, id, ms, record)
    local switch = name and switch_of(name)
    ms, id, record = tonumber(ms), (id or ""):match("^[%w_-]+$"), (record or ""):match("^[%w_-]*$")
    if switch and id and record and ms and ms > 0 and ms <= LONGEST_MS then
      local fine, why = pcall(take_lock, switch, id, ms, record)
      if not fine then last_error = tostring(why) end
    end
    status(applet, switch and {name} or {})
  end)

core.register_cli({"stillgate", "unlock"}, "stillgate unlock FRONTEND ID",
  function(applet, _, _, name, id)
    local switch = name and switch_of(name)
    if switch and switch.lock and switch.lock.id == id then switch.lock = nil end
    status(applet, switch and {name} or {})
  end)

local function prove(name)
  local socket = core.tcp()
  socket:settimeout(2)
  local fine, why = socket:connect("abns@" .. probe_prefix .. "-" .. name)
  if not fine then return nil, why or "nothing listens there" end
  socket:send("GET / HTTP/1.0\r\n\r\n")
  local text = socket:receive("*a") or ""
  socket:close()
  local said = text:match("\nstillgate: ([^\r\n]+)")
  if said == name then return true end
  return nil, "answered " .. (text:match("^[^\r\n]*") or "nothing")
end

core.register_cli({"stillgate", "prove"}, "stillgate prove [FRONTEND...]", function(applet, ...)
  local told = {}
  for _, name in ipairs(names_in(...)) do
    local fine, proven, why = pcall(prove, name)
    told[name] = {proven = fine and proven or false, why = (not fine and tostring(proven)) or why}
  end
  try_folder()
  applet:send(json({format = tonumber(FORMAT), state_error = state_error, frontends = told}) .. "\n")
end)

-- The files carry commands to other processes: a stopping one, a young one, and one that holds read them.
-- So a resume that reached one process ends the hold in all.
local function look(switch)
  expire(switch)
  if stopping or worker_is_young() or switch.mode ~= "open" then recall(switch) end
  if switch.unsaved and now() - switch.tried_at >= SAVE_AGAIN_S then save(switch) end
end

core.register_task(function()
  started, pid = now(), core.get_info().Pid
  clock()  -- before this process can be frozen
  while true do
    local busy = stopping
    for _, switch in pairs(switches) do
      local fine, why = pcall(look, switch)
      if not fine then last_error = tostring(why) end
      busy = busy or switch.waiting > 0
    end
    core.msleep(busy and FOLLOW_MS or IDLE_MS)
    stopping = stopping or tostring(core.get_info().Stopping) == "1"
  end
end)
