-- Nodes, and the list of all functions.

-- KEYS n graves g  ARGV node server number lease window run -> { wait, number }
local function attach(KEYS, ARGV)
  local node, theirs, t = ARGV[1], tonumber(ARGV[3]), now()
  local g = redis.call('HMGET', KEYS[3], 'id', 'n', 'until')
  local number, till = tonumber(g[2]) or 0, tonumber(g[3]) or 0
  if g[1] ~= ARGV[2] or theirs > number then
    -- What was written last may be lost, unless nothing was ever written.
    till = (g[1] or theirs > 0) and t + ARGV[5] or 0
    number = math.max(number, theirs) + 1
    redis.call('HSET', KEYS[3], 'id', ARGV[2], 'n', number, 'until', till)
    -- No node could say that it is alive while Redis was away.
    for _, other in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
      redis.call('ZADD', KEYS[1], t + ARGV[4], other)
    end
  end
  -- A node that was fenced stays so.
  if not redis.call('ZSCORE', KEYS[2], node) then
    redis.call('ZADD', KEYS[1], t + ARGV[4], node)
    redis.call('HSET', KEYS[3], 'l:' .. node, ARGV[6])
  end
  return { math.max(0, till - t), number }
end

-- KEYS n graves g  ARGV node lease burial -> { is_fenced, node to bury }
local function alive(KEYS, ARGV)
  local node, t = ARGV[1], now()
  if redis.call('ZADD', KEYS[1], 'XX', 'CH', t + ARGV[2], node) == 0 and not redis.call('ZSCORE', KEYS[1], node) then
    return { 1 }
  end
  for _, over in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], 0, t)) do
    redis.call('ZREM', KEYS[1], over)
    redis.call('HDEL', KEYS[3], 'l:' .. over)
    redis.call('ZADD', KEYS[2], 0, over)
  end
  local grave = redis.call('ZRANGEBYSCORE', KEYS[2], 0, t, 'LIMIT', 0, 1)[1]
  if not grave then return { 0 } end
  -- If the node dies before the burial is done, another one is asked.
  redis.call('ZADD', KEYS[2], t + ARGV[3], grave)
  return { 0, grave }
end

-- KEYS n graves g p z z:<gone>  ARGV gone hold max_held most remember prefix -> is_more
local function bury(KEYS, ARGV)
  local gone = ARGV[1]
  redis.call('ZREM', KEYS[1], gone)
  redis.call('HDEL', KEYS[3], 'l:' .. gone)
  forget_sizes({ KEYS[5], KEYS[6] })
  local room
  for _, member in ipairs(redis.call('ZRANGE', KEYS[4], 0, ARGV[4] - 1)) do
    local name, key = string.match(member, '^([^\n]*)\n(.*)$')
    if not room then
      local number = redis.call('HGET', KEYS[3], 'n') or 0
      room = room_of(ARGV[6], name, '-', ARGV[6] .. 'c:' .. name, gone, number, tonumber(ARGV[3]))
    end
    if name ~= room.name then break end
    take_out(room, key, tonumber(ARGV[2]))
  end
  if redis.call('EXISTS', KEYS[4]) == 1 then
    redis.call('ZADD', KEYS[2], 'NX', 0, gone)
    return 1
  end
  -- A grave that is closed is remembered for a time, so that the node does not come back under its uid.
  local t = now()
  redis.call('ZADD', KEYS[2], -t, gone)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], ARGV[5] - t, -1)
  return 0
end

-- Redis refuses a function that may write, if it takes nothing.
local function probe() return 1 end

local function register(name, callback, flags)
  redis.register_function { function_name = 'echoroom_1_' .. name, callback = callback, flags = flags }
end
-- A Redis that is full takes no messages and no names; leases go on.
register('append', append, {})
register('heal', heal, {})
register('probe', probe, {})
register('enter', enter, {})
register('picture', picture, {})
register('sizes', sizes, { 'allow-oom' })
register('sweep', sweep, { 'allow-oom' })
register('list', list, { 'no-writes' })
register('forget', forget, { 'allow-oom' })
register('leave', leave, { 'allow-oom' })
register('attach', attach, { 'allow-oom' })
register('alive', alive, { 'allow-oom' })
register('bury', bury, { 'allow-oom' })
register('open', open, { 'no-writes' })
register('read', read, { 'no-writes' })
register('page', page, { 'no-writes' })
register('live', live, { 'no-writes' })
register('look', look, { 'no-writes' })
register('import_records', import_records, {})
register('import_names', import_names, {})
register('import_room', import_room, {})
register('import_picture', import_picture, {})
