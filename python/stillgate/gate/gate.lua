-- The request gate: holds each request of a held frontend inside HAProxy. One file for 2.2 and later.
--
-- The lines that go with it: `stillgate gate --config FRONTEND`. Runtime API:
--   stillgate sync [FRONTEND...]    reads the switches again; changes nothing by itself
--   stillgate status [FRONTEND...]  the counters, as one line of JSON
--   stillgate prove [FRONTEND...]   whether that frontend's requests come through this gate
--   stillgate held [FRONTEND...]    has a probe of each wait for two seconds as a held request does, and says under
--                                   which number `show sess` lists its bind
--   stillgate queues                how long each backend's `timeout queue` is
--   stillgate lock FRONTEND ID MILLISECONDS RECORD [AFTER]  takes the lock on a hold of that frontend, if it
--                                   is free, and if that id has the lock on the frontend AFTER; holds nothing
--   stillgate unlock FRONTEND ID    frees it, if that id has it
-- Any level may call them: names that are not frontends of this HAProxy are ignored, so that nobody can
-- fill its memory or the state folder with names. The switch itself needs the admin level: a process
-- variable from 2.4 on, below it an entry of the stick table `stillgate`.
--
-- Everything here runs under HAProxy's one Lua lock. Loaded per thread there would be a gate in each thread,
-- and commands would reach one of them.

if (core.thread or 0) > 0 then
  error("Stillgate's gate: load this file by lua-load. By lua-load-per-thread a hold would hold the requests "
    .. "of one thread only.", 0)
end

local FORMAT = "1"
local POLL_MS = 4           -- without queues (below 2.8): how often a held request checks, while they are few
local CALL_MS = 10          -- the same in tcp mode, where it may not sleep and costs more
local CALLS_TO_TIDY = 256
local MARKED, EXEMPT = 2047, 2046 -- the priority classes that the lines give to a request
local WAKE_PART = 200       -- so many are woken at a time: HAProxy's other work comes in between
local WAKE_MS = 5           -- how often a task checks that those who were woken go on
local LOOK_PART = 10000     -- so many are looked at in one go
local NEXT_MS = 1           -- until the next part: after core.yield() 3.0 goes on without a look at its connections
local QUIET_FROM = 1000     -- where more wait, Lua does not collect its garbage,
local QUIET_S = 1           -- nor for so long after that,
local QUIET_KB = 256 * 1024 -- as long as that leaves no more than this
local SETTLE_S = 0.3        -- how long a request may take from HAProxy's counter to the gate
local COUNT_S = 0.5         -- how long all requests come to the gate after a proof, to be counted
local TO_OTHERS = 4         -- a quarter of the connections is left to others,
local TO_REFUSED = 2        -- and half of Lua's memory to those that are refused, as long as they last
local HELD_KB = 5           -- of Lua's memory for each held request: 1.3 to 4.3 were measured in http and tcp mode
                            -- on 2.2 to 3.2 (docs/haproxy-versions.md), and a test holds it
local QUIET_HELD_KB = 8     -- with the garbage that nobody collects: 6.8 for each of 100,000
local LARGEST_LIMIT_MB = 1024 -- a larger limit of Lua's memory is taken for none
local ROOM = 8192           -- bytes that a suspend may write into process variables
local BEAT_S = 2            -- a task of ours that has not run for so long has ended
local RAMP_SLICE_MS = 50    -- how often a request that is released later checks whether it is held again
local FOLLOW_MS = 20        -- how often a stopping worker follows the new one
local IDLE_MS = 250
local YOUNG_S = 5           -- this long after its start, a process may miss a command to the old process
local COLLECT_S = 1         -- requests that gave up are counted at most this often,
local COLLECT_MANY = 10000  -- and the less often the more wait
local TABLE_S = 0.25        -- the kernel's table of connections is read at most this often,
local TABLE_PAUSES = 20     -- with pauses so many times as long as the reading,
local TABLE_BYTES = 4 << 20 -- and no further: HAProxy does nothing else meanwhile, 2 us for a row of 150;
local TABLE_PART = 1 << 16  -- in parts of so much;
local TABLE_MANY = 10000    -- nor where more than so many waited
local TICK_S = 0.01         -- the resolution of /proc/uptime; it is read at most this often
local SAVE_AGAIN_S = 1      -- how often a failed write of the state is retried
local TELL_OLD_S = 1        -- how often an old worker tells anew who waits in it,
local OLD_SILENT_S = 5      -- and after how long without that it has ended, or is frozen
local LARGEST_STATE = 16384 -- no command line of HAProxy is longer, so no state file either
local LONGEST_MS = 24 * 3600 * 1000
local LONGEST_TOLD = 200    -- bytes of a malformed text
local PROBE_BIND = "stillgate"
local PROBE_LOOKS = 100     -- how often the first byte of a probe in tcp mode is checked
local HELD_PATH = "/held"   -- what a probe asks for that is to wait,
local HELD_S = 2            -- and for how long it does

local folder = os.getenv("STILLGATE_STATE")
local probe_prefix = os.getenv("STILLGATE_PROBE") or "stillgate"
local has_queues = core.queue ~= nil

local OURS = {}             -- marks our own values
local PASSED = {mark = OURS} -- of a connection that was here: a later rule that waits for bytes has HAProxy
                            -- begin again at the first
local switches = {}         -- by frontend
local started               -- when this process began to run, not when it read this file
local stopping = false
local must_ask = false      -- the next that can is to ask whether it is stopping
local pid = 0
local collected = 0
local counting, round = false, 0 -- those that gave up, and not through yet; how often it was begun
local quiet, quiet_until, most_quiet = false, 0, 0 -- while Lua collects no garbage; how many waited at most
local last_error
local state_error
local state_folder          -- where the folder is now: under a chroot its path is shorter
local waiting_all = 0       -- in all frontends
local beat = 0              -- when our task last ran
local generation = 0        -- of our task

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

-- How much of Lua's memory can be had, in kB; nil without a limit that matters. A read takes its buffer
-- first, and does not touch it.
local function free_memory()
  local file = io.open("/dev/null", "r")
  if not file then return nil end
  local function fits(megabytes)
    local fine = pcall(file.read, file, megabytes * 1048576)
    collectgarbage("collect")
    return fine
  end
  local low, high = 0, LARGEST_LIMIT_MB
  local limited = not fits(high)
  while limited and high - low > 1 do
    local middle = (low + high) // 2
    if fits(middle) then low = middle else high = middle end
  end
  file:close()
  return limited and low * 1024 or nil
end

local free_kb, used_kb

-- Not here: the limit may come behind our line in haproxy.cfg. And before a chroot, which has no such file.
core.register_init(function()
  free_kb = free_memory()
  used_kb = collectgarbage("count")
  -- A buffer of Lua's own is asked for without a collection first, and is refused where garbage fills the rest.
  if free_kb then collectgarbage("setpause", 120) end
end)

-- What held requests may use of it, less what is used now.
local function memory_left()
  return free_kb and free_kb - free_kb // TO_REFUSED - (collectgarbage("count") - used_kb) or math.huge
end

-- Calls a function that is not to be interrupted, and returns its first result. HAProxy makes Lua code yield
-- after some hundred instructions (tune.lua.forced-yield), and lets other code of ours run in between; where it
-- is called by a C function it cannot. Here table.unpack() calls it, as what answers for an element that is missing:
-- that is the cheapest of the ways, and each request that is let go takes it.
local called = {__index = function(given, index)
  if index == 0 then return given[1](given[2], given[3], given[4], given[5], given[6], given[7]) end
end}

local function whole(call, ...)
  return (table.unpack(setmetatable({call, ...}, called), 0, 0))
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

local keep_beating          -- defined below

local function worker_is_young(at)
  return not started or (at or now()) - started < YOUNG_S
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

-- A hold is `1.ID.MILLISECONDS[_UNTIL].release|reject[_reject].BOUND.RECORD`. The time counts from when this
-- HAProxy first saw that id, so that no two clocks need to agree, and so that a hold may be written
-- again, with another record or a longer time. UNTIL is an instant of this process's own clock in
-- milliseconds, as `stillgate status` reports it: a switch that was long in transit does not hold longer.
-- A process that reads the hold from a file uses the clock of the process that got it first.
-- `_reject`: a process that a reload replaces refuses its requests, instead of sending them to its servers.
-- `open`, or `open.MILLISECONDS` for a ramp, ends it. With `.ID` behind that it ends that hold and no other:
-- whoever releases may be late, and so may the switch that was to begin it. RECORD is Stillgate's own, and kept
-- unchanged.
local function read_token(text)
  local ramp, of = text:match("^open%.(%d+)%.([%w_-]+)$")
  if not ramp then ramp = text:match("^open%.?(%d*)$") end
  if ramp then return {open = true, ramp = (tonumber(ramp) or 0) / 1000, of = of} end
  local format, id, ms, until_ms, expiry, reload, bound, record =
    text:match("^(%d+)%.([%w_-]+)%.(%d+)_?(%d*)%.(%a+)_?(%a*)%.(%d+)%.([%w_-]*)$")
  ms, bound = tonumber(ms), tonumber(bound)
  if format ~= FORMAT or not ms or ms > LONGEST_MS or not bound
     or (expiry ~= "release" and expiry ~= "reject") or (reload ~= "" and reload ~= "reject") then
    return nil
  end
  local ends = tonumber(until_ms)
  return {id = id, lasts = ms / 1000, ends = ends and ends / 1000, rejects = expiry == "reject",
    retires = reload == "reject", bound = bound, record = record}
end

local function deadline_of(token, began)
  return math.min(began + token.lasts, token.ends or math.huge)
end

-- Weak where only a collection can tell who is gone.
local visits_of = {__mode = "v"}

local function new_switch(name)
  local encoded = encode_name(name)
  return {
    name = name, mode = "open", said = nil, known = {}, ended = {},
    token = nil, hold = nil, deadline = nil,
    lock = nil,               -- who is about to hold, or holds: {id, ends, record}
    -- On the clock of the process that got the hold first, as UNTIL is; ours is `ahead` of it.
    began = nil, ahead = 0, clock_at = 0,
    ramp_from = nil, ramp_over = 0, ramp_first = 0, ramp_last = 0,
    guard = "proc.stillgate_guard_" .. encoded, variable = "proc.stillgate_gate_" .. encoded,
    file = encoded, seen = nil, read_at = 0, unsaved = false, tried_at = 0, malformed = nil,
    waiting = 0, tickets = 0, visits = setmetatable({}, visits_of),
    oldest = 1,               -- no ticket below it waits
    to_wake = nil,            -- the next ticket to be woken; nil: nobody has to be
    waker = nil,              -- the task that wakes them
    woken = {},               -- who was woken, and may not have gone on yet
    under_way = 0,            -- how many of them have not
    placed = 0,               -- of this ticket and those before it the place in the registry is known
    seen_place = 0, seen_for = 0, -- how far a look for places has come, and for whom it began
    gone_at = nil,            -- the next ticket to be looked at for having given up
    counted = 0,              -- the last round in which all were
    most = nil, most_by = nil, -- how many may wait, and what says so
    arrived = 0, answers = 0, -- all requests that came here, and those that were answered here
    -- While all requests come here, as they do in a new process: where the counting began.
    count = {total = 0, malformed = 0, answered = 0, arrived = 0, answers = 0, looks = {}},
    count_until = 0, counted = 0, unseen = 0, -- of the counts that are over
    counters = {most_waiting = 0, held = 0, released = 0, given_up = 0, rejected = 0, longest = 0},
    retired = false,          -- replaced by a reload, in a hold that has such a process refuse its requests
    old = {released = 0, rejected = 0}, -- since this process is being replaced
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

local visit_of = {}         -- by coroutine, where HAProxy has it in Lua's registry

-- HAProxy does not notify an action when its client has gone; it drops the action.
local function give_up(visit)
  if visit.done then return end
  local switch = visit.switch
  visit.done = true
  if visit.thread then visit_of[visit.thread] = nil end
  switch.waiting, waiting_all = switch.waiting - 1, waiting_all - 1
  switch.counters.given_up = switch.counters.given_up + 1
end

-- Each request that was dropped is counted by the end of its visit.
local function collect()
  collectgarbage("collect")
  collected = now()
end

-- The first ticket that waits; one behind the last where none does.
local function oldest_of(switch)
  local ticket, visits = switch.oldest, switch.visits
  while ticket <= switch.tickets and (visits[ticket] == nil or visits[ticket].done) do
    ticket = ticket + 1
  end
  switch.oldest = ticket
  return ticket
end

-- HAProxy has the coroutine of each request in Lua's registry, and takes it out when it drops the request: so
-- who is gone can be seen. A whole collection would say it, too, and is what is left below 2.8; it stops
-- HAProxy for most of a second where 100,000 wait.
local registry = debug.getregistry()
local in_registry           -- whether it is so in this HAProxy; nil before the first request that waits

local function look_for_self()
  local self = coroutine.running()
  in_registry = false
  if not has_queues then return end -- there it is asked nothing, and in tcp mode the coroutine changes
  for _, value in pairs(registry) do in_registry = in_registry or value == self end
  if in_registry then visits_of.__mode = nil end
end

-- Goes through a part of the registry, which has no holes. True at its end.
local function find_places(switch)
  if switch.seen_place == 0 then switch.seen_for = switch.tickets end
  local last = math.min(#registry, switch.seen_place + LOOK_PART)
  for place = switch.seen_place + 1, last do
    local visit = visit_of[registry[place]]
    if visit then visit.place = place end
  end
  switch.seen_place = last
  if last < #registry then return false end
  switch.placed, switch.seen_place = switch.seen_for, 0
  return true
end

local function is_gone(visit)
  return in_registry and not (visit.place and registry[visit.place] == visit.thread)
end

-- Counts the requests that gave up, and removes them from `visits`: a part of them at a time. True at the end.
local function count_gone(switch)
  if not in_registry then
    collect()
    return true
  end
  if not switch.gone_at then
    if switch.placed < switch.tickets and not find_places(switch) then return false end
    switch.gone_at = oldest_of(switch)
  end
  local last = math.min(switch.placed, switch.gone_at + LOOK_PART)
  for ticket = switch.gone_at, last do
    local visit = switch.visits[ticket]
    if visit and not visit.done and is_gone(visit) then
      switch.visits[ticket] = nil
      give_up(visit)
    end
  end
  switch.gone_at = last < switch.placed and last + 1 or nil
  return switch.gone_at == nil
end

-- When a request may go: at once, or evenly over the ramp, in order of arrival.
local function due_of(switch, ticket)
  if switch.ramp_over == 0 or ticket > switch.ramp_last then return 0 end
  local place = ticket - switch.ramp_first + 1
  return switch.ramp_from + switch.ramp_over * place / (switch.ramp_last - switch.ramp_first + 1)
end

-- Wakes some of those that wait, in order of arrival, when they are due. HAProxy runs all that are ready in one
-- row, and what comes behind 5,000 of them waits for 100 ms; so it gets more only as those go on. Wherever it
-- is ended, as HAProxy ends Lua code that runs for a second, the next call goes on. True if it is to be called
-- again at once.
--
-- A queue keeps the task of a request that was dropped while it waited there, and a push would wake a
-- task that no longer exists. So each request has its own queue, and those that were dropped are left out.
-- Whoever is there now is there until we return, because HAProxy needs our lock to free a task.
local function wake_some(switch)
  if not switch.to_wake then return false end
  if not in_registry then
    collect()
  elseif switch.placed < switch.tickets then
    find_places(switch)
    if switch.placed < switch.tickets then return true end
  end
  local visits, woken, last = switch.visits, switch.woken, switch.tickets
  switch.to_wake = math.max(switch.to_wake, oldest_of(switch))
  while switch.to_wake <= last do
    local visit = visits[switch.to_wake]
    if visit and not visit.done and not is_gone(visit) then
      if switch.under_way >= WAKE_PART then return false end
      if switch.ramp_over > 0 and due_of(switch, switch.to_wake) > now() then return false end
      visit.bell:push(true)
      if visit.woken ~= switch.waker then
        visit.woken, woken[#woken + 1] = switch.waker, visit
        switch.under_way = switch.under_way + 1
      end
    end
    switch.to_wake = switch.to_wake + 1
  end
  switch.to_wake = nil
  return false
end

-- Who was dropped after it was woken goes nowhere, and must not keep the next from being woken.
local function wake_on(switch)
  local under_way = {}
  for _, visit in ipairs(switch.woken) do
    if not visit.done and not is_gone(visit) then under_way[#under_way + 1] = visit end
  end
  switch.woken, switch.under_way = under_way, #under_way
  return wake_some(switch)
end

-- Who goes on has the next ones woken: so some are always ready to run, and HAProxy does not wait for our task.
-- An error here is no reason to refuse this request.
local function count_on_its_way(visit)
  local switch = visit.switch
  if not visit.woken or visit.woken ~= switch.waker then return end
  switch.under_way = switch.under_way - 1
  if switch.to_wake and switch.under_way <= WAKE_PART // 2 then pcall(wake_some, switch) end
end

local function wake(switch)
  if switch.waiting == 0 or not has_queues then return end
  local mine = {}
  switch.to_wake, switch.woken, switch.under_way, switch.waker = oldest_of(switch), {}, 0, mine
  core.register_task(function()
    while switch.waker == mine and switch.to_wake do
      local at_once = whole(wake_on, switch) or switch.ramp_over > 0
      core.msleep(at_once and NEXT_MS or WAKE_MS)
    end
  end)
  wake_some(switch)
end

-- --- counting: what the frontend began, and what came here ---

-- HAProxy's own figures: the requests that it counted; those that were malformed; and those that a rule
-- answered, which may be ours.
local function figures_of(switch)
  local stats = core.frontends[switch.name]:get_stats()
  local function of(name) return tonumber(stats[name]) or 0 end
  if stats.mode == "tcp" then return of("stot"), 0, 0 end
  return of("req_tot"), of("ereq"), of("intercepted") + of("dreq")
end

-- From now on all requests come here, until the guard says otherwise.
local function begin_count(switch)
  local total, malformed, answered = figures_of(switch)
  switch.count = {total = total, malformed = malformed, answered = answered, arrived = switch.arrived,
                  answers = switch.answers, looks = {}, unseen = nil, closing = nil}
end

-- How many requests the frontend began, and how many of them never came here; nil as long as that is not
-- known, because some may be on their way.
local function look_at_count(switch)
  local count = switch.count
  if not count then return 0, 0 end
  local total, malformed, answered = figures_of(switch)
  local began, at, looks = total - count.total, now(), count.looks
  local last = looks[#looks]
  if began < (last and last.began or 0) then -- somebody has cleared the counters
    begin_count(switch)
    return 0, 0
  end
  local accounted = switch.arrived - count.arrived + malformed - count.malformed
    + math.max(0, answered - count.answered - (switch.answers - count.answers))
  if not last or at - last.at >= SETTLE_S / 4 then
    looks[#looks + 1] = {at = at, began = began}
  end
  while #looks > 1 and at - looks[2].at >= SETTLE_S do table.remove(looks, 1) end
  if began <= accounted then
    count.unseen = count.unseen or 0
  elseif at - looks[1].at >= SETTLE_S then
    count.unseen = math.max(count.unseen or 0, looks[1].began - accounted)
  end
  return began, count.unseen
end

local function end_count(switch)
  local counted, unseen = look_at_count(switch)
  if unseen then
    switch.counted, switch.unseen = switch.counted + counted, switch.unseen + unseen
  end
  switch.count = nil
end

local function open(switch, ramp)
  if switch.mode ~= "open" then
    local _, unseen = look_at_count(switch)
    switch.counters.unseen = unseen
  end
  switch.mode = switch.retired and "rejecting" or "open"
  if switch.hold then switch.ended[switch.hold.id] = true end
  switch.ramp_over, switch.ramp_from = ramp, now()
  switch.ramp_first, switch.ramp_last = oldest_of(switch), switch.tickets
  wake(switch)
end

-- What a process that is being replaced lets pass goes to its own servers, the old ones. So it refuses, in
-- such a hold, until it has ended. Who comes again, comes to the new process.
local function retire(switch)
  if not stopping or switch.retired or switch.mode == "open" or not switch.hold.retires then return end
  switch.retired, switch.mode = true, "rejecting"
  wake(switch)
end

-- The deadline, noticed first by a held request, a new one, the timer, or a command.
local function expire(switch)
  retire(switch)
  if switch.mode ~= "held" or math.abs(now() - switch.clock_at) < TICK_S then return end
  switch.clock_at = now()
  -- The reading by which the deadline was told may have been late by a tick: late is right, early is not.
  if clock() - TICK_S < switch.deadline then return end
  if switch.hold.rejects then
    switch.mode = "rejecting"
    wake(switch)
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
      whole(expire, switch)
    end
  end)
end

-- How many requests may wait here, and what says so: the hold itself, or what HAProxy has. A quarter of
-- its connections, and what others use now, is left to them.
local function bound_of(switch, asked)
  local by_memory = free_kb and math.max(0, memory_left() // HELD_KB + waiting_all) or math.huge
  local most, by = asked, "max_waiting"
  if most == 0 then
    local info = core.get_info()
    local total = tonumber(info.Maxconn) or 0
    local here = tonumber(core.frontends[switch.name]:get_stats().scur) or 0
    local others = math.max(0, (tonumber(info.CurrConns) or 0) - here)
    most, by = math.max(1, total - total // TO_OTHERS - others), "maxconn"
  end
  if by_memory < most then return math.floor(by_memory), "tune.lua.maxmem" end
  return most, by
end

local function hold(switch, token, text, began, ahead)
  local anew = not (switch.hold and switch.hold.id == token.id)
  if anew then
    switch.counters =
      {most_waiting = switch.waiting, held = switch.waiting, released = 0, given_up = 0,
       rejected = 0, longest = 0}
    switch.old = {released = 0, rejected = 0}
  end
  switch.token, switch.hold = text, token
  switch.to_wake, switch.ramp_over = nil, 0
  if anew then
    switch.most, switch.most_by = bound_of(switch, token.bound)
    -- Where a command brings the hold, the count begins as soon as no request takes the short cut.
    if switch.count then end_count(switch) end
    if stopping or worker_is_young() then begin_count(switch) end
  end
  switch.began, switch.ahead, switch.clock_at = began, ahead, 0
  switch.deadline = deadline_of(token, began) + ahead
  switch.mode = switch.retired and "rejecting" or "held"
  if switch.retired then wake(switch) end
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
  if switch.mode ~= "open" and not switch.ended[switch.hold.id] then
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

-- A process that is being replaced gets no command any more, so who waits there is told by files: one of its
-- own, and one that names all such processes and is only added to, so that no two can overwrite each other.
local function old_list(where, switch)
  return where .. "/" .. switch.file .. ".old"
end

local function old_file(where, switch, process)
  return old_list(where, switch) .. "." .. process
end

local function read_file(path)
  local handle = io.open(path, "r")
  if not handle then return "" end
  local text = handle:read(LARGEST_STATE) or ""
  handle:close()
  return text
end

-- Calls with the number of each process that the list has.
local function each_old(where, switch, call)
  local met = {}
  for id, process in read_file(old_list(where, switch)):gmatch("(%S+) (%d+)\n") do
    if not met[process] then call(id, process) end
    met[process] = true
  end
end

-- What was told of the hold before.
local function forget_old(switch)
  local where = folder and find_folder()
  if not where then return end
  each_old(where, switch, function(_, process) os.remove(old_file(where, switch, process)) end)
  os.remove(old_list(where, switch))
end

-- The same in each process of this machine.
local function since_boot_ms()
  return math.floor((uptime() or now()) * 1000)
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
    local held_elsewhere = switch.seen and switch.seen:match("^held %S+ %d+%.([%w_-]+)%.")
    if token.of then
      switch.ended[token.of] = true
      if token.of ~= (switch.hold and switch.hold.id) and token.of ~= held_elsewhere then return end
    end
    if switch.mode ~= "open" or switch.ramp_over > 0 or held_elsewhere then
      open(switch, token.ramp)
      switch.unsaved = true
    end
  elseif switch.mode ~= "open" and switch.hold.id ~= token.id then
    -- Another hold is in effect. Around a reload two may have had the lock, each in its process.
    switch.ended[token.id] = true
  elseif not switch.ended[token.id] then
    local same = switch.mode ~= "open"
    local began, ahead = clock(), 0
    if same then began, ahead = switch.began, switch.ahead end
    -- Its deadline passed before it came: it does not begin, not even to reject.
    if not same and deadline_of(token, began) <= began then
      switch.ended[token.id] = true
      return
    end
    if not same then
      switch.known = {}
      forget_old(switch)
    end
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
      elseif number ~= 1 and token and token.id and not (switch.mode ~= "open" and switch.hold.id == token.id) then
        switch.ended[token.id] = true
      end
    end
  end
  return news or holds or released
end

-- The guard says whether requests may take the short cut. It is a number, because a text needs memory each
-- time it is set, and HAProxy may have none left for variables: then a frontend would stay open. Set only in
-- a command and where a request passes, under the lock: two writes cannot overlap.
local function close_short_cut(applet, switch)
  applet:set_var(switch.guard, 0)
  if not switch.count then begin_count(switch) end
end

-- A count ends when those that began before have had the time to come here.
local function open_short_cut(txn, switch, at)
  local count = switch.count
  if switch.mode ~= "open" or worker_is_young(at) or at < switch.count_until then return end
  if count and not count.closing then
    count.closing = at
    look_at_count(switch)
  elseif not count or at - count.closing >= SETTLE_S then
    if count then end_count(switch) end
    txn:set_var(switch.guard, 1)
  end
end

local function sync(applet, switch)
  recall(switch)
  expire(switch)
  local text = applet:get_var(switch.variable)
  if text == nil or text == "" then text = table_says(switch) end
  if text then apply(switch, text) end
  if switch.mode ~= "open" then close_short_cut(applet, switch) end
  if switch.unsaved then save(switch) end
end

-- --- the requests ---

-- Whether the file may be newer than the last command to this process.
local function follow(switch)
  local stale = switch.read_at == 0
    or (stopping or worker_is_young()) and now() - switch.read_at > 0.001
  if stale then recall(switch) end
end

local left = {__gc = give_up}

-- The more wait, the longer it takes. Where they are very many it counts a part, and is to be called again: false.
local function count_gone_now_and_then()
  local soon = now() - collected < COLLECT_S * math.max(1, waiting_all / COLLECT_MANY)
  if soon and not counting then return true end
  if not counting then round = round + 1 end
  collected, counting = now(), false
  if memory_left() < HELD_KB then collect() end
  for _, switch in pairs(switches) do
    -- Who is through is not gone through again while others are not.
    if switch.waiting > 0 and switch.counted ~= round then
      if count_gone(switch) then switch.counted = round else counting = true end
    end
  end
  return not counting
end

-- A collection ends by a look at all coroutines, which cannot be divided: 100 ms where 100,000 wait. They are no
-- garbage, so none is made while very many wait or have just been released, unless memory is limited or what is
-- refused leaves too much.
local function spare_collections()
  if waiting_all > QUIET_FROM then
    most_quiet = math.max(quiet and most_quiet or 0, waiting_all)
    quiet_until = now() + QUIET_S
  end
  local spare = in_registry and not free_kb and now() < quiet_until
    and collectgarbage("count") < used_kb + QUIET_KB + QUIET_HELD_KB * most_quiet
  if spare ~= quiet then collectgarbage(spare and "stop" or "restart") end
  quiet = spare
end

-- Most releases of HAProxy do not notice that a held HTTP/1 client has gone, and no sample tells. The kernel
-- knows: the connection of a client that has closed is in CLOSE_WAIT. Only what is found so counts, so behind
-- PROXY or in another network namespace nobody is taken for gone. Opened before a chroot.
local function open_table(name)
  local file = io.open("/proc/net/" .. name, "r")
  if file then file:setvbuf("full", TABLE_PART) end
  return {file = file}
end

-- The second has the connections of a bind that takes both IPv6 and IPv4. It is read only if there is one: the
-- kernel goes through all of its table for each, 10 ms for 262,144 places.
local tables = {open_table("tcp"), open_table("tcp6")}
tables[1].used = true
local CLOSED = " 08 "       -- no other field of two digits is padded by a zero
local ADDRESSES = "(%x%x%x%x%x%x%x%x:%x%x%x%x) %x-(%x%x%x%x%x%x%x%x:%x%x%x%x)$"
local ADDRESSES_LENGTH = 75 -- of IPv6, the longer ones
local closed, closed_at, closed_until = {}, 0, 0

-- On a busy machine it may take long, and those who leave then must not read it one after the other.
local function read_closed()
  local before = uptime() or 0
  closed, closed_at, closed_until = {}, now(), now() + TABLE_S
  for _, kernel in ipairs(tables) do
    local file, left = kernel.file, kernel.file and kernel.used and TABLE_BYTES or 0
    if left > 0 then file:seek("set") end
    while left > 0 do
      local part = file:read(TABLE_PART) or ""
      -- What is short is the end. A further read has the kernel go through its whole table to say so.
      if #part < TABLE_PART then left = 0 else part, left = part .. (file:read("L") or ""), left - #part end
      -- A pattern for each row costs more than the kernel's part of it.
      local at = part:find(CLOSED, 1, true)
      while at do
        local here, there = part:sub(math.max(1, at - ADDRESSES_LENGTH), at - 1):match(ADDRESSES)
        if here then closed[here .. there] = true end
        at = part:find(CLOSED, at + 1, true)
      end
    end
  end
  closed_until = closed_at + TABLE_S + TABLE_PAUSES * ((uptime() or 0) - before)
end

-- As the table has it; nil for an address that is not of IPv4. Such a one over IPv6 is ::ffff:192.0.2.1.
local function place_in_table(address, port)
  local text = tostring(address)
  local a, b, c, d = text:match("(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  if a and text:find(":", 1, true) then tables[2].used = true end
  return a and port and string.format("%02X%02X%02X%02X:%04X", d, c, b, a, port)
end

local function connection_of(txn)
  local here = place_in_table(txn.f:dst(), txn.f:dst_port())
  local there = place_in_table(txn.f:src(), txn.f:src_port())
  return here and there and here .. there
end

local function has_closed(visit, at)
  if not visit.connection or visit.switch.counters.most_waiting > TABLE_MANY then return false end
  if at >= closed_until then pcall(read_closed) end
  -- What was found before this request came is of another connection with the same ports.
  visit.closed = visit.began < closed_at and closed[visit.connection]
  return visit.closed
end

local function due_in_ms(visit)
  local due = due_of(visit.switch, visit.ticket)
  return due == 0 and 0 or math.ceil((due - now()) * 1000)
end

-- Below 2.4 only a request can ask whether this process is being replaced; and so the next one knows it,
-- however rarely our own task checks.
local function learn_of_stop(txn)
  must_ask = false
  if stopping then return end
  local replaced = txn.f:stopping()
  stopping = replaced == true or replaced == 1
end

-- Whether the request passes. Held requests take the shortest path: a thousand check repeatedly.
local function wait(txn, visit)
  local switch, bell = visit.switch, visit.bell
  while true do
    if not bell and must_ask then learn_of_stop(txn) end
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

-- Whether no more may wait. HAProxy does not survive the end of Lua's memory.
local function is_full(switch)
  if memory_left() < HELD_KB then return true end
  return (switch.hold.bound > 0 and switch.waiting or waiting_all) >= switch.most
end

local function count_end(switch, what)
  switch.counters[what] = switch.counters[what] + 1
  if stopping then switch.old[what] = switch.old[what] + 1 end
end

-- Nil where no more may wait.
local function enter(switch, may_sleep, connection)
  if is_full(switch) then
    count_gone_now_and_then()
    if is_full(switch) then
      count_end(switch, "rejected")
      return nil
    end
  end
  if in_registry == nil then look_for_self() end
  switch.tickets, switch.waiting, waiting_all =
    switch.tickets + 1, switch.waiting + 1, waiting_all + 1
  switch.counters.held = switch.counters.held + 1
  switch.counters.most_waiting = math.max(switch.counters.most_waiting, switch.waiting)
  local visit = setmetatable({switch = switch, ticket = switch.tickets, began = now(), mark = OURS,
                              connection = connection,
                              bell = has_queues and core.queue() or nil,
                              thread = in_registry and coroutine.running() or nil,
                              calls = not may_sleep and 0 or nil}, not in_registry and left or nil)
  switch.visits[visit.ticket] = visit
  if visit.thread then visit_of[visit.thread] = visit end
  return visit
end

local function leave(visit, through, at)
  local switch = visit.switch
  visit.done, switch.visits[visit.ticket] = true, nil
  if visit.thread then visit_of[visit.thread] = nil end
  switch.waiting, waiting_all = switch.waiting - 1, waiting_all - 1
  -- The counters of the hold that it waits in now, which may have begun after this request came.
  switch.counters.longest = math.max(switch.counters.longest, at - visit.began)
  count_end(switch, through and "released" or visit.closed and "given_up" or "rejected")
  count_on_its_way(visit)
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

-- As a held request does: `show sess` then lists which of HAProxy's timers runs on one. In the millisecond in
-- which it begins it would pass for one of a second more, so the probe is told of a moment later.
local function let_probe_wait(txn, switch)
  local held = switch.probe
  if not held or txn.sf:path() ~= HELD_PATH then return end
  while now() < held.ends do
    core.msleep(POLL_MS)
    held.listed = held.listed or tostring(txn.f:so_id())
  end
end

local function answer_probe(txn, is_http, kept, class, switch)
  local name = switch.name
  if is_http then let_probe_wait(txn, switch) end
  if class ~= MARKED and class ~= EXEMPT then name = name .. " by older lines" end
  if is_http then
    local reply = txn:reply({status = 204})
    reply:add_header("stillgate", name)
    switch.answers = switch.answers + 1
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

-- The lines of an older release go by a variable.
local function let_go(txn, answer, class)
  if class == MARKED or class == EXEMPT then
    txn:set_priority_class(0)
  else
    txn:set_var(answer, "go")
  end
end

local function pass(txn, answer, switch, class, at)
  open_short_cut(txn, switch, at)
  let_go(txn, answer, class)
end

local function refuse(switch)
  switch.answers = switch.answers + 1
end

-- A visit, if the request has to wait.
local function arrive(txn, answer, is_http, may_sleep, class, switch)
  follow(switch)
  expire(switch)
  if switch.mode == "rejecting" then
    count_end(switch, "rejected")
    return refuse(switch)
  end
  if switch.mode ~= "held" then return pass(txn, answer, switch, class, now()) end
  -- In tcp mode a client may have closed its half, and still want its answer.
  return enter(switch, may_sleep, is_http and connection_of(txn) or nil) or refuse(switch)
end

local function depart(txn, answer, visit, through, class)
  local at = now()
  if not leave(visit, through and not has_closed(visit, at), at) then return refuse(visit.switch) end
  pass(txn, answer, visit.switch, class, at)
end

local function serve(txn, answer, is_http, may_sleep, class, switch)
  local visit = whole(arrive, txn, answer, is_http, may_sleep, class, switch)
  if not visit then return end
  if visit.calls then return sleep_between_calls(txn, visit, CALL_MS) end
  whole(depart, txn, answer, visit, wait(txn, visit), class)
end

local function come_again(txn, answer, visit, class)
  local through, pause_ms = look_again(visit)
  if through == nil then
    visit.calls = visit.calls + 1
    return sleep_between_calls(txn, visit, pause_ms)
  end
  txn:set_priv(PASSED)
  whole(depart, txn, answer, visit, through, class)
end

local function meet(txn, answer, class, switch)
  switch.arrived = switch.arrived + 1
  if class ~= MARKED and class ~= EXEMPT then txn:set_var(answer, "wait") end
  learn_of_stop(txn)
  keep_beating()
end

-- By priority class: the lines mark each request with one, and no rule behind them sees it. A class needs no
-- memory, so that nothing that HAProxy has run out of lets a request pass. After any failure the mark stays,
-- and the last line refuses the request. `done` ends the action by an error of HAProxy's own, which no pcall
-- may catch.
local function gate(answer, is_http)
  local may_sleep = is_http or has_queues
  return function(txn)
    local kept = not is_http and kept_of(txn) or nil
    local class = tonumber(txn.f:prio_class())
    local switch = switch_of(txn.f:fe_name())
    if not kept then whole(meet, txn, answer, class, switch) end
    local fine, said
    if kept and kept.calls then
      fine, said = pcall(come_again, txn, answer, kept, class)
    elseif txn.f:so_name() == PROBE_BIND then
      return answer_probe(txn, is_http, kept, class, switch)
    elseif class == EXEMPT then
      return let_go(txn, answer, class)
    else
      fine, said = pcall(serve, txn, answer, is_http, may_sleep, class, switch)
    end
    if not fine then
      last_error = tostring(said)
      refuse(switch)
      return
    end
    if not is_http and not said and not kept then txn:set_priv(PASSED) end
    -- Each return leaves a value in the request's coroutine, so the coroutine is replaced.
    if said and kept and kept.calls and kept.calls % CALLS_TO_TIDY == 0 then core.done(said) end
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

-- Compare and set: nothing yields between the look and the write. With `behind`, the switch of another frontend,
-- only where that id has its lock: so many may be asked for in one go, and whoever loses one gets none behind it.
local function take_lock(switch, id, ms, record, behind)
  local before = behind and holder_of(behind)
  if behind and not (before and before.id == id) then return end
  recall(switch)
  local holder = holder_of(switch)
  if holder and holder.id ~= id then return end
  switch.lock = {id = id, ends = clock() + ms / 1000, record = record}
end

local function tell_old(switch)
  local old = switch.old
  local news = switch.waiting + old.released + old.rejected > 0 or old.told ~= nil
  if not stopping or not switch.hold or not news then return end
  if waiting_all > 0 then count_gone_now_and_then() end
  local counts = string.format("%d %d %d", switch.waiting, old.released, old.rejected)
  if counts == old.told and (switch.waiting == 0 or now() - old.told_at < TELL_OLD_S) then return end
  local where = folder and find_folder()
  local list = where and io.open(old_list(where, switch), old.told and "r" or "a")
  if not list then return end
  if not old.told then list:write(string.format("%s %d\n", switch.hold.id, pid)) end
  list:close()
  old.told, old.told_at = counts, now()
  write_file(old_file(where, switch, pid),
             string.format("%s %d %s\n", switch.hold.id, since_boot_ms(), counts))
end

-- What the old workers told of the last hold that this process knows.
local function old_workers(switch)
  local where, sums = switch.hold and folder and find_folder(), nil
  if not where then return nil end
  each_old(where, switch, function(_, process)
    local id, at, waiting, released, rejected =
      read_file(old_file(where, switch, process)):match("^(%S+) (%d+) (%d+) (%d+) (%d+)\n$")
    if id ~= switch.hold.id then return end
    sums = sums or {waiting = 0, released = 0, rejected = 0, silent = 0, pids = ""}
    sums.released, sums.rejected = sums.released + released, sums.rejected + rejected
    local silent = math.abs(since_boot_ms() - at) > OLD_SILENT_S * 1000
    local place = silent and "silent" or "waiting"
    sums[place] = sums[place] + waiting
    if tonumber(waiting) > 0 and not silent then
      sums.pids = (sums.pids .. " " .. process):match("%S.*")
    end
  end)
  return sums
end

local function describe(switch)
  follow(switch)
  expire(switch)
  local counters, longest = switch.counters, switch.counters.longest
  local oldest = switch.visits[oldest_of(switch)]
  if oldest then longest = math.max(longest, now() - oldest.began) end
  local counted, unseen = look_at_count(switch)
  local told = {
    mode = switch.mode, waiting = switch.waiting, most_waiting = counters.most_waiting,
    held = counters.held, released = counters.released, given_up = counters.given_up,
    rejected = counters.rejected, longest_wait_ms = longest * 1000,
    malformed = switch.malformed and switch.malformed:sub(1, LONGEST_TOLD),
    all_counted = switch.counted + counted, all_unseen = switch.unseen + (unseen or 0),
    unseen = counters.unseen, old = old_workers(switch),
    counted_for = switch.hold and switch.hold.id, -- also when it is over
  }
  if switch.mode ~= "open" then
    told.id, told.token, told.unseen = switch.hold.id, switch.token, unseen
    told.most, told.most_by = switch.most, switch.most_by
    told.remaining_ms = math.max(0, (switch.deadline - clock()) * 1000)
  end
  local holder = holder_of(switch)
  if holder then told.lock_id, told.lock_record = holder.id, holder.record end
  return told
end

local function status(applet, names)
  local told = {}
  keep_beating()
  if waiting_all > 0 then whole(count_gone_now_and_then) end
  for _, name in ipairs(names) do told[name] = whole(describe, switch_of(name)) end
  applet:send(json({
    format = tonumber(FORMAT), stopping = stopping, folder = folder, state_error = state_error,
    locks = true, locks_behind = true, reloads = true, names = true, error = last_error,
    table = carrier() ~= nil, now_ms = math.floor(clock() * 1000), frontends = told,
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
    local fine, why = pcall(whole, sync, applet, switch_of(name))
    if not fine then last_error = tostring(why) end
  end
  status(applet, names)
end)

core.register_cli({"stillgate", "status"}, "stillgate status [FRONTEND...]", function(applet, ...)
  status(applet, names_in(...))
end)

-- At most one lock for each frontend, and none for longer than a hold may last.
core.register_cli({"stillgate", "lock"}, "stillgate lock FRONTEND ID MILLISECONDS RECORD [AFTER]",
  function(applet, _, _, name, id, ms, record, behind)
    local switch = name and switch_of(name)
    ms, id, record = tonumber(ms), (id or ""):match("^[%w_-]+$"), (record or ""):match("^[%w_-]*$")
    local anywhere = (behind or "") == ""
    local before = not anywhere and switch_of(behind) or nil
    if switch and id and record and ms and ms > 0 and ms <= LONGEST_MS and (anywhere or before) then
      local fine, why = pcall(whole, take_lock, switch, id, ms, record, before)
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

-- Whether a suspend can write its variables. On 2.6 and 3.0 HAProxy itself dies of a `set var` that finds
-- no room; Lua is told.
local function has_room(applet, bytes)
  if not applet:set_var("proc.stillgate_room", string.rep("x", bytes)) then
    applet:unset_var("proc.stillgate_room")
    return false
  end
  applet:unset_var("proc.stillgate_room")
  return true
end

-- By a path where the lines have one: 3.1.0 cannot connect to an abstract name.
local function reach_probe(name)
  local where, why = folder and find_folder(), nil
  local places = {"abns@" .. probe_prefix .. "-" .. name}
  if where then table.insert(places, 1, "unix@" .. where .. "/" .. encode_name(name) .. ".probe") end
  for _, place in ipairs(places) do
    local socket = core.tcp()
    socket:settimeout(2)
    -- HAProxy raises an error where an address is too long for a socket's.
    local called, fine, failure = pcall(socket.connect, socket, place)
    if called and fine then return socket end
    why = failure
  end
  return nil, why or "nothing listens there"
end

local function ask_probe(name, path)
  local socket, why = reach_probe(name)
  if not socket then return nil, why end
  socket:send("GET " .. path .. " HTTP/1.0\r\n\r\n")
  local text = socket:receive("*a") or ""
  socket:close()
  return text
end

-- One at a time for each frontend, however many ask for it.
local function have_probe_wait(switch)
  local held = switch.probe
  if held and not held.over and now() < held.ends - HELD_S / 2 then return held end
  held = {ends = now() + HELD_S}
  switch.probe = held
  core.register_task(function()
    pcall(ask_probe, switch.name, HELD_PATH)
    held.over = true
  end)
  return held
end

local function prove(name)
  local text, why = ask_probe(name, "/")
  if not text then return nil, why end
  local said = text:match("\nstillgate: ([^\r\n]+)")
  if said == name then return true end
  if said == name .. " by older lines" then
    return nil, "the frontend has the lines of an older release, which let requests pass when HAProxy has no "
      .. "memory left for variables; replace them"
  end
  return nil, "answered " .. (text:match("^[^\r\n]*") or "nothing")
end

-- --- what haproxy.cfg has beside our lines, for the proof to tell ---

local UNITS_MS = {us = 0.001, ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000}

local function in_ms(text)
  local number, unit = (text or ""):match("^(%d+)(%a*)$")
  local factor = UNITS_MS[unit == "" and "ms" or unit]
  return number and factor and tonumber(number) * factor
end

local function counts_requests(words)
  local action = words[1] == "http-request" and words[2] or words[2] == "content" and words[3] or ""
  return action:match("^track%-sc") or action:match("^sc%-inc") or action:match("^sc%-add")
end

-- HAProxy takes the first inspect-delay, and `defaults` come before the frontend.
local function read_line(found, section, words, place)
  if words[1] == "lua-load-per-thread" then
    found.per_thread = place
  elseif section and words[1] == "tcp-request" and words[2] == "inspect-delay" then
    section.delay = section.delay or {ms = in_ms(words[3]), place = place}
  elseif section and table.concat(words, " "):find("lua.stillgate", 1, true) then
    section.gate = true
  elseif section and section.gate and counts_requests(words) then
    section.counts = section.counts or place
  end
end

-- `timeout connect` counts where there is no `timeout queue`; 0 is none.
local function read_timeout(times, words)
  if words[1] == "timeout" and (words[2] == "queue" or words[2] == "connect") then
    times[words[2]] = in_ms(words[3])
  end
end

-- Plainly: what a quote or a condition does is not known here, and not what a proof depends on.
local function read_configuration()
  local found, named, last, section, times = {proxies = {}, backends = {}}, {}, nil, nil, {}
  for path in (os.getenv("HAPROXY_CFGFILES") or ""):gmatch("[^;]+") do
    local file, number = io.open(path, "r"), 0
    for line in file and file:lines() or function() end do
      number = number + 1
      local words = {}
      for word in line:gsub("#.*", ""):gmatch("%S+") do words[#words + 1] = word end
      local kind, name, from = words[1], words[2], words[3] == "from" and words[4]
      local base = from and named[from] or last
      local function inherited()
        return {queue = base and base.times.queue, connect = base and base.times.connect}
      end
      if kind == "defaults" then
        if name == "from" then name, from = nil, words[3] end
        base = from and named[from]
        section = {delay = base and base.delay, times = inherited()}
        last, named[name or ""], times = section, section, section.times
      elseif kind == "frontend" or kind == "listen" then
        section, times = {delay = base and base.delay}, inherited()
        found.proxies[name or ""] = section
        if kind == "listen" then found.backends[name or ""] = times end
      elseif kind == "backend" then
        section, times = nil, inherited()
        found.backends[name or ""] = times
      elseif kind == "global" then
        section, times = nil, {}
      else
        read_timeout(times, words)
        read_line(found, section, words, path .. ":" .. number)
      end
    end
    if file then file:close() end
  end
  return found
end

-- HAProxy names its files when it has read them, and init comes before a chroot.
local configuration = {proxies = {}, backends = {}}
core.register_init(function()
  configuration = read_configuration()
  collectgarbage("collect") -- what is held later has little room, perhaps
end)

-- 2.4 to 2.8 have one Lua context for all actions of a request.
local function breaks_scripts_per_thread()
  local major, minor = tostring(core.get_info().Version):match("^(%d+)%.(%d+)")
  return major == "2" and tonumber(minor) >= 4 and tonumber(minor) <= 8
end

local function tell_configuration(told, name)
  local proxy, notes = configuration.proxies[name] or {}, {}
  if configuration.per_thread and breaks_scripts_per_thread() then
    notes[#notes + 1] = configuration.per_thread .. ": in requests that the gate has seen, this HAProxy "
      .. "fails scripts by lua-load-per-thread; load them by lua-load"
  end
  if proxy.counts then
    notes[#notes + 1] = proxy.counts .. ": this rule counts requests after the gate, so all that waited "
      .. "count at the same moment; put it before the gate's lines"
  end
  if #notes > 0 then told.notes = table.concat(notes, "; ") end
  if proxy.delay and proxy.delay.ms and core.frontends[name]:get_stats().mode == "tcp" then
    told.longest_ms, told.longest_by = proxy.delay.ms, proxy.delay.place
  end
end

core.register_cli({"stillgate", "prove"}, "stillgate prove [FRONTEND...]", function(applet, ...)
  local told, names = {}, names_in(...)
  for _, name in ipairs(names) do
    local fine, proven, why = pcall(prove, name)
    told[name] = {proven = fine and proven or false, why = (not fine and tostring(proven)) or why}
    -- For a while all requests are counted.
    local switch = switch_of(name)
    switch.count_until = now() + COUNT_S
    if switch.count then switch.count.closing = nil end
    whole(close_short_cut, applet, switch)
    told[name].most, told[name].most_by = bound_of(switch, 0)
    tell_configuration(told[name], name)
  end
  try_folder()
  applet:send(json({format = tonumber(FORMAT), state_error = state_error, frontends = told,
                    room = has_room(applet, ROOM * math.max(1, #names))}) .. "\n")
end)

core.register_cli({"stillgate", "held"}, "stillgate held [FRONTEND...]", function(applet, ...)
  local told, probes = {}, {}
  for _, name in ipairs(names_in(...)) do
    local is_http = core.frontends[name]:get_stats().mode ~= "tcp"
    probes[name] = is_http and have_probe_wait(switch_of(name)) or {over = true}
  end
  for name, held in pairs(probes) do
    while not held.listed and not held.over and now() < held.ends do core.msleep(1) end
    told[name] = {listed = held.listed}
  end
  applet:send(json({format = tonumber(FORMAT), frontends = told}) .. "\n")
end)

core.register_cli({"stillgate", "queues"}, "stillgate queues", function(applet)
  local told = {}
  for name, times in pairs(configuration.backends) do
    local longest = times.queue or times.connect or 0
    if longest > 0 then told[name] = longest end
  end
  applet:send(json({format = tonumber(FORMAT), queue_ms = told}) .. "\n")
end)

-- The files carry commands to other processes: a stopping one, a young one, and one that holds read them.
-- So a resume that reached one process ends the hold in all.
local function look(switch)
  expire(switch)
  if stopping or worker_is_young() or switch.mode ~= "open" then recall(switch) end
  if switch.unsaved and now() - switch.tried_at >= SAVE_AGAIN_S then save(switch) end
  if switch.mode ~= "held" then wake_on(switch) end
  tell_old(switch)
  if switch.mode ~= "open" or worker_is_young() then look_at_count(switch) end
end

local function work(mine)
  pid = core.get_info().Pid
  clock()  -- before this process can be frozen
  while generation == mine do
    local pause_ms = stopping and FOLLOW_MS or IDLE_MS
    for _, switch in pairs(switches) do
      local fine, why = pcall(whole, look, switch)
      if not fine then last_error = tostring(why) end
      if switch.waiting > 0 then pause_ms = math.min(pause_ms, FOLLOW_MS) end
    end
    if waiting_all > 0 and in_registry then
      while not whole(count_gone_now_and_then) do core.msleep(NEXT_MS) end
    end
    spare_collections()
    beat = now()
    core.msleep(pause_ms)
    stopping = stopping or tostring(core.get_info().Stopping) == "1"
    must_ask = not stopping
  end
end

-- HAProxy ends a task whose code ran for too long, and tells nobody.
keep_beating = function()
  if not started or now() - beat < BEAT_S then return end
  generation, beat = generation + 1, now()
  local mine = generation
  core.register_task(function() work(mine) end)
end

core.register_task(function()
  started = now()
  generation, beat = generation + 1, started
  work(generation)
end)
