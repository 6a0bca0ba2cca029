-- What is too old or too much, over all nodes.

-- Rooms that are removed, and rooms whose names are looked at, in one step, each.
local SWEPT = 32
-- Rooms by which the bytes of all are estimated.
local SAMPLE = 32

-- Whether a node has a room open.
local function is_open(prefix, room)
  return redis.call('PUBSUB', 'SHARDNUMSUB', prefix .. 'c:' .. room)[2] > 0
end

-- The bytes of the messages of a room.
local function bytes_of(prefix, room)
  local first = redis.call('XRANGE', prefix .. 's:' .. room, '-', '+', 'COUNT', 1)[1]
  if not first then return 0 end
  local before = tonumber(first[2][6]) - #first[2][4]
  return (tonumber(redis.call('HGET', prefix .. 'm:' .. room, 'b')) or 0) - before
end

-- The bytes of the messages of all rooms, by some of them.
local function estimate(prefix, rooms)
  local count, sample, bytes = redis.call('ZCARD', rooms), redis.call('ZRANDMEMBER', rooms, SAMPLE), 0
  for _, room in ipairs(sample) do bytes = bytes + bytes_of(prefix, room) end
  return #sample > 0 and math.floor(bytes * count / #sample) or 0
end

-- Removes the messages of a room, and, if no node has it open, all but its names.
local function drop(prefix, room)
  local m, s, k = prefix .. 'm:' .. room, prefix .. 's:' .. room, prefix .. 'k:' .. room
  if is_open(prefix, room) then
    return forget({ m, s, k, prefix .. 'rooms', prefix .. 'old' }, { prefix .. 'c:' .. room, room })
  end
  redis.call('DEL', m, s, k)
  redis.call('ZREM', prefix .. 'rooms', room)
end

-- Removes rooms in which nothing was said for the longest time, unless a node has them open.
local function drop_over(prefix, over)
  if over <= 0 then return end
  for _, room in ipairs(redis.call('ZRANGE', prefix .. 'rooms', 0, SWEPT - 1)) do
    if not is_open(prefix, room) then
      drop(prefix, room)
      over = over - 1
      if over <= 0 then return end
    end
  end
end

-- Removes about as many bytes of messages: of the rooms in which nothing was said for the longest time, and, of those
-- that a node has open, only the oldest messages. Returns the bytes that are still too many.
local function shed_over(prefix, over)
  for _, room in ipairs(redis.call('ZRANGE', prefix .. 'rooms', 0, SWEPT - 1)) do
    if over <= 0 then return over end
    local bytes = bytes_of(prefix, room)
    if is_open(prefix, room) then
      local m, s = prefix .. 'm:' .. room, prefix .. 's:' .. room
      local newest = redis.call('XREVRANGE', s, '+', '-', 'COUNT', 1)[1]
      local all = tonumber(redis.call('HGET', m, 'b')) or 0
      -- As if nothing was gone before: what was is told by the records.
      if newest then shed(m, s, prefix .. 'k:' .. room, all, newest[1], math.max(0, bytes - over)) end
      over = over - bytes + bytes_of(prefix, room)
    else
      drop(prefix, room)
      over = over - bytes
    end
  end
  return over
end

-- Removes the names of a room whose time is over, and what else is left of a room that is not used any more.
local function tidy_room(prefix, name, t)
  local room = room_of(prefix, name, '-', prefix .. 'c:' .. name, '-', 0, 0)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', room.h, 0, t, 'LIMIT', 0, 4 * MOST_EXPIRED)) do
    remove_held(room, key)
  end
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', room.r, 0, t, 'LIMIT', 0, 4 * MOST_EXPIRED)) do
    release(room, key)
  end
  if redis.call('EXISTS', room.u, room.h, room.r) > 0 or is_open(prefix, name) then
    redis.call('ZADD', prefix .. 'old', t + LOOK_AGAIN, name)
    return
  end
  redis.call('DEL', room.x)
  if not redis.call('ZSCORE', prefix .. 'rooms', name) then redis.call('DEL', prefix .. 'm:' .. name) end
  redis.call('ZREM', prefix .. 'old', name)
end

-- What a partition may have of what may be in all.
local function share(own, all, most) return all > most and math.floor(own * most / all) or own end

-- One node in `interval` sweeps. All are told how much there is.
-- KEYS rooms g sweep old  ARGV node interval age all_rooms max_rooms all_bytes max_bytes prefix -> { rooms, bytes }
local function sweep(KEYS, ARGV)
  local t, prefix = now(), ARGV[8]
  if redis.call('SET', KEYS[3], ARGV[1], 'NX', 'PX', ARGV[2]) then
    for _, room in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], 0, t - ARGV[3], 'LIMIT', 0, SWEPT)) do
      drop(prefix, room)
    end
    local rooms = redis.call('ZCARD', KEYS[1])
    drop_over(prefix, rooms - share(rooms, tonumber(ARGV[4]), tonumber(ARGV[5])))
    local bytes = estimate(prefix, KEYS[1])
    local kept = share(bytes, tonumber(ARGV[6]), tonumber(ARGV[7]))
    bytes = kept + math.max(0, shed_over(prefix, bytes - kept))
    for _, room in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], 0, t, 'LIMIT', 0, SWEPT)) do
      tidy_room(prefix, room, t)
    end
    redis.call('HSET', KEYS[2], 'bytes', text(bytes))
  end
  return { redis.call('ZCARD', KEYS[1]), tonumber(redis.call('HGET', KEYS[2], 'bytes')) or 0 }
end

