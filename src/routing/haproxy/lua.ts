/**
 * What runs inside HAProxy: it knows where every route leads, lets a connection wait while its route is held or its target does not accept yet,
 * and then says where it goes. Its table comes from a file when HAProxy starts, and from commands of the runtime API after that. Old workers,
 * whose servers the runtime API no longer changes, take these commands like the present one.
 */
export const LUA_FILE = 'routing.lua'

/** What the script is to know. */
export interface ScriptOptions {
  /** The address at which connections that wait are told how it ended. */
  readonly bell: string
  /** The file with the routes. */
  readonly table: string
  /** How long a connection waits for a target. */
  readonly connectMilliseconds: number
  /** How many connections may wait for one route. */
  readonly waitingClients: number
}

/** The script, for HAProxy's Lua 5.3 or 5.4. Not every HAProxy hands on what `lua-load` gives a script, so it has its options in itself. */
export function luaScript({ bell, table, connectMilliseconds, waitingClients }: ScriptOptions): string {
  // A text of JSON is one of Lua, where it has no control characters.
  return `local bell, file, patience, most = ${JSON.stringify(bell)}, ${JSON.stringify(table)}, ${connectMilliseconds}, ${waitingClients}\n${SCRIPT}`
}

const SCRIPT = `
local routes, waiting = {}, {}

local function now()
  local time = core.now()
  return time.sec * 1000 + time.usec // 1000
end

for line in io.lines(file) do
  local word = {}
  for each in line:gmatch('%S+') do word[#word + 1] = each end
  if word[1] == 'route' then
    local left = word[5] ~= '-' and tonumber(word[5]) - os.time() * 1000 or nil
    routes[word[2]] = { version = 0, current = word[4], deadline = left and now() + left or nil }
  elseif word[1] == 'slot' and routes[word[2]].current == word[3] then
    routes[word[2]].ip, routes[word[2]].port = word[4], tonumber(word[5])
  end
end

-- HAProxy ends a connection without a word to its script: then its ticket is given back when Lua collects what nobody holds.
local function give_back(ticket)
  if ticket.key then waiting[ticket.key] = waiting[ticket.key] - 1 end
  ticket.key = nil
end
local ticket_type = { __gc = give_back }

local collected = 0
local function is_full(key)
  if (waiting[key] or 0) < most then return false end
  if now() - collected > 1000 then
    collected = now()
    collectgarbage()
  end
  return waiting[key] >= most
end

-- Finds out for all who wait whether the target accepts. A task that got stuck is replaced by another.
local function probe(route)
  if route.probing and now() - route.probing < 2000 then return end
  local version = route.version
  route.probing = now()
  core.register_task(function()
    local socket = core.tcp()
    socket:settimeout(1)
    local accepts = socket:connect(route.ip, route.port)
    socket:close()
    if route.version ~= version then return end
    route.proven = accepts ~= nil
    if not route.proven then core.msleep(50) end
    if route.version == version then route.probing = nil end
  end)
end

-- What becomes of a connection now: 'go', 'no' or 'wait'. What it remembers of the connection is in mind.
local function decide(key, mind)
  local route, time = routes[key], now()
  if route == nil then return 'no' end
  if route.deadline then
    mind.version = nil
    return time < route.deadline and 'wait' or 'no'
  end
  if route.current == '-' then return 'no' end
  if route.proven then return 'go' end
  if mind.version ~= route.version then mind.version, mind.since = route.version, time end
  probe(route)
  return time - mind.since < patience and 'wait' or 'no'
end

-- Waits for a connection, and says how it ended. HAProxy loses the timer of an action that sleeps if it is itself held up for as long;
-- it does not lose that of a service, nor what a service says to an action.
local function ring(applet)
  local key = (applet:getline() or ''):match('%S+') or ''
  local mind, ticket = {}, setmetatable({ key = key }, ticket_type)
  waiting[key] = (waiting[key] or 0) + 1
  local verdict = decide(key, mind)
  while verdict == 'wait' do
    -- The more wait, the less often each of them asks.
    core.msleep(math.max(10, waiting[key] // 20))
    verdict = decide(key, mind)
  end
  give_back(ticket)
  applet:send(verdict .. '\\n')
end

local function hear(key)
  local socket = core.tcp()
  socket:settimeout(2 * 3600)
  if not socket:connect(bell) then return 'no' end
  socket:send(key .. '\\n')
  local verdict = socket:receive('*l')
  socket:close()
  return verdict or 'no'
end

local function pass(txn, key)
  local verdict = decide(key, {})
  while verdict == 'wait' do
    if is_full(key) or hear(key) ~= 'go' then verdict = 'no' else verdict = decide(key, {}) end
  end
  local route = routes[key]
  if verdict == 'no' then
    txn:set_var('txn.flocker_refused', true)
  else
    txn:set_var('txn.flocker_ip', route.ip)
    txn:set_var('txn.flocker_port', route.port)
    txn:set_var('txn.flocker_server', 's' .. route.current)
  end
  return act.CONTINUE
end

local function command(name, change)
  core.register_cli({ 'flocker', name }, 'flocker ' .. name, function(applet, _, _, key, ...)
    local route = routes[key]
    if route == nil then return applet:send('unknown\\n') end
    change(route, key, ...)
    route.version, route.proven, route.probing = route.version + 1, nil, nil
    applet:send('ok\\n')
  end)
end

command('set', function(route, _, slot, ip, port)
  route.current, route.ip, route.port, route.deadline = slot, ip, tonumber(port), nil
end)
command('hold', function(route, _, milliseconds) route.deadline = now() + tonumber(milliseconds) end)
command('release', function(route) route.deadline = nil end)
command('drop', function(_, key) routes[key] = nil end)

core.register_cli({ 'flocker', 'show' }, 'flocker show', function(applet)
  collectgarbage()
  local lines = { 'flocker' }
  for key, count in pairs(waiting) do lines[#lines + 1] = key .. ' ' .. count end
  applet:send(table.concat(lines, '\\n') .. '\\n')
end)

core.register_service('flocker_bell', 'tcp', ring)
core.register_action('flocker_pass', { 'tcp-req', 'http-req' }, pass, 1)
`
