/**
 * What runs inside HAProxy: it knows where every route leads, lets a connection wait while its route is held or its target does not accept yet,
 * and then says where it goes. Its table comes from a file when HAProxy starts, and from commands of the runtime API after that. Old workers,
 * whose servers the runtime API no longer changes, take these commands like the present one.
 */
export const LUA_FILE = 'routing.lua'

/** What the script is to know. */
export interface ScriptOptions {
  /** The file with the routes. */
  readonly table: string
  /** How long a connection waits for a target. */
  readonly connectMilliseconds: number
  /** How many connections may wait for one route. */
  readonly waitingClients: number
}

/** The script, for HAProxy's Lua 5.3 or 5.4. Not every HAProxy hands on what `lua-load` gives a script, so it has its options in itself. */
export function luaScript({ table, connectMilliseconds, waitingClients }: ScriptOptions): string {
  // A text of JSON is one of Lua, where it has no control characters.
  return `local file, patience, most = ${JSON.stringify(table)}, ${connectMilliseconds}, ${waitingClients}\n${SCRIPT}`
}

const SCRIPT = `
local routes, waiting = {}, {}
-- A connection that ended while it waited says so to nobody: it is forgotten when it was not heard of for so long.
local silence = 5000

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

local function queue(key)
  waiting[key] = waiting[key] or { count = 0, seen = {} }
  return waiting[key]
end

local function recount(key)
  local line, time = queue(key), now()
  line.count = 0
  for ticket, last in pairs(line.seen) do
    if time - last > silence then line.seen[ticket] = nil else line.count = line.count + 1 end
  end
  return line.count
end

local function leave(key, ticket)
  local line = queue(key)
  if line.seen[ticket] then
    line.seen[ticket] = nil
    line.count = line.count - 1
  end
end

-- Whether there was room to wait.
local function stay(key, ticket)
  local line = queue(key)
  if not line.seen[ticket] then
    if line.count >= most and recount(key) >= most then return false end
    line.count = line.count + 1
  end
  line.seen[ticket] = now()
  -- The more wait, the less often each of them asks.
  core.msleep(math.max(20, line.count // 20))
  return true
end

-- One connection finds out for all whether the target accepts.
local function probe(key, route)
  if route.probing and now() - route.probing < 2000 then return end
  local version = route.version
  route.probing = now()
  local socket = core.tcp()
  socket:settimeout(1)
  local accepts = socket:connect(route.ip, route.port)
  socket:close()
  if route.version == version then
    route.probing = nil
    route.proven = accepts ~= nil
  end
end

local function pass(txn, key)
  local ticket, version, began = {}, nil, nil
  while true do
    local route = routes[key]
    local time = now()
    if route == nil then break end
    if route.deadline then
      if time >= route.deadline then break end
      version = nil
    elseif route.current == '-' then break
    else
      if version ~= route.version then version, began = route.version, time end
      if not route.proven then probe(key, route) end
      if route.proven and not route.deadline and version == route.version then
        leave(key, ticket)
        txn:set_var('txn.flocker_ip', route.ip)
        txn:set_var('txn.flocker_port', route.port)
        txn:set_var('txn.flocker_server', 's' .. route.current)
        return act.CONTINUE
      end
      if now() - began >= patience then break end
    end
    if not stay(key, ticket) then break end
  end
  leave(key, ticket)
  txn:set_var('txn.flocker_refused', true)
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
  local lines = { 'flocker' }
  for key in pairs(waiting) do lines[#lines + 1] = key .. ' ' .. recount(key) end
  applet:send(table.concat(lines, '\\n') .. '\\n')
end)

core.register_action('flocker_pass', { 'tcp-req', 'http-req' }, pass, 1)
`
