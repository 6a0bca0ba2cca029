-- Sizes of rooms, for the list of rooms.

-- Notes how many sessions a node has in a room. KEYS z z:<node>
local function note_size(KEYS, room, count)
  local change = count - (tonumber(redis.call('HGET', KEYS[2], room)) or 0)
  if change == 0 then return end
  if count == 0 then redis.call('HDEL', KEYS[2], room) else redis.call('HSET', KEYS[2], room, count) end
  if tonumber(redis.call('ZINCRBY', KEYS[1], change, room)) <= 0 then redis.call('ZREM', KEYS[1], room) end
end

-- With `is_whole`, the node has sessions in no other room.
-- KEYS z z:<node> g  ARGV node is_whole [room count]... -> whether it is done; else the node is fenced
local function sizes(KEYS, ARGV)
  if redis.call('HEXISTS', KEYS[3], 'l:' .. ARGV[1]) == 0 then return 0 end
  local told = {}
  for i = 3, #ARGV, 2 do
    told[ARGV[i]] = true
    note_size(KEYS, ARGV[i], tonumber(ARGV[i + 1]))
  end
  if ARGV[2] == '1' then
    for _, room in ipairs(redis.call('HKEYS', KEYS[2])) do
      if not told[room] then note_size(KEYS, room, 0) end
    end
  end
  return 1
end

-- Takes a node that is gone out of the sizes. KEYS z z:<node>
local function forget_sizes(KEYS)
  for _, room in ipairs(redis.call('HKEYS', KEYS[2])) do note_size(KEYS, room, 0) end
end

-- Users that have sessions in a room: all that are in its hash, but those whose names are held.
local function users_in(prefix, room)
  return math.max(0, redis.call('HLEN', prefix .. 'u:' .. room) - redis.call('ZCARD', prefix .. 'h:' .. room))
end

-- KEYS z  ARGV prefix most asked...
-- -> { number of rooms, [room, sessions, users, ...] of the largest ones, [room, sessions, users, head, epoch, ...] }
local function list(KEYS, ARGV)
  local prefix, most, largest, asked = ARGV[1], tonumber(ARGV[2]), {}, {}
  if most > 0 then
    local rooms = redis.call('ZREVRANGE', KEYS[1], 0, most - 1, 'WITHSCORES')
    for i = 1, #rooms, 2 do
      local room = rooms[i]
      largest[#largest + 1], largest[#largest + 2] = room, tonumber(rooms[i + 1])
      largest[#largest + 1] = users_in(prefix, room)
    end
  end
  for i = 3, #ARGV do
    local room, m = ARGV[i], redis.call('HMGET', prefix .. 'm:' .. ARGV[i], 'h', 'i')
    local at = #asked
    asked[at + 1], asked[at + 2] = room, tonumber(redis.call('ZSCORE', KEYS[1], room) or 0)
    asked[at + 3], asked[at + 4], asked[at + 5] = users_in(prefix, room), tonumber(m[1]) or 0, m[2] or ''
  end
  return { redis.call('ZCARD', KEYS[1]), largest, asked }
end

