
-- Rooms that come from the journal of a server, or go to one, while no node is alive.

-- A node whose lease is not over.
local function live_node(n)
  return redis.call('ZRANGEBYSCORE', n, '(' .. text(now()), '+inf', 'LIMIT', 0, 1)[1]
end

-- KEYS n -> node that is alive, or an empty text
local function live(KEYS) return live_node(KEYS[1]) or '' end

-- KEYS m x r -> { head, epochs, [name key, owner, end of the reservation, spelling, ...] }
local function look(KEYS)
  local m, names = redis.call('HMGET', KEYS[1], 'h', 'e'), {}
  local reserved = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. text(now()), '+inf', 'WITHSCORES')
  for i = 1, #reserved, 2 do
    local key = reserved[i]
    local x = redis.call('HMGET', KEYS[2], 'w:' .. key, 's:' .. key)
    if x[1] then
      local at = #names
      names[at + 1], names[at + 2], names[at + 3], names[at + 4] = key, x[1], tonumber(reserved[i + 1]), x[2] or key
    end
  end
  return { tonumber(m[1]) or 0, m[2] or '', names }
end

-- Adds records to those of the room that is being imported.
-- KEYS s k n  ARGV is_first [first count epoch keys tail bytes_upto entries]... -> node that is alive, or an empty text
local function import_records(KEYS, ARGV)
  local node = live_node(KEYS[3])
  if node then return node end
  if ARGV[1] == '1' then redis.call('DEL', KEYS[1], KEYS[2]) end
  for i = 2, #ARGV, 7 do
    local first, count, keys, entries = ARGV[i], ARGV[i + 1], ARGV[i + 3], ARGV[i + 6]
    local id = text(first + count - 1) .. '-' .. count
    if keys ~= '' then redis.call('XADD', KEYS[2], id, 'k', keys) end
    local head = head_of(first, ARGV[i + 2], ARGV[i + 4], #entries)
    redis.call('XADD', KEYS[1], id, 'h', head, 'r', entries, 'b', ARGV[i + 5])
  end
  return ''
end

-- KEYS u x r n  ARGV [name key, owner, end, spelling, looks]... -> node that is alive, or an empty text
local function import_names(KEYS, ARGV)
  local node = live_node(KEYS[4])
  if node then return node end
  local room = { u = KEYS[1], x = KEYS[2], r = KEYS[3] }
  for i = 1, #ARGV, 5 do
    local key, owner = ARGV[i], ARGV[i + 1]
    release(room, key)
    redis.call('HSET', room.x, 'w:' .. key, owner, 'v:' .. owner, key, 's:' .. key, ARGV[i + 3])
    redis.call('ZADD', room.r, ARGV[i + 2], key)
    claim_looks(room, key, ARGV[i + 4])
  end
  return ''
end

-- Keeps a picture that was used last at `used`, unless its time is over. Others stay.
-- KEYS a:<id> a ages n  ARGV id type bytes used age -> node that is alive, or an empty text; nil if its time is over
local function import_picture(KEYS, ARGV)
  local node = live_node(KEYS[4])
  if node then return node end
  local id, size, t, age = ARGV[1], #ARGV[3], now(), tonumber(ARGV[5])
  local used = math.min(tonumber(ARGV[4]), t)
  local left = used + age - t
  if left <= 0 then return false end
  if redis.call('EXISTS', KEYS[1]) == 1 then return '' end
  redis.call('SET', KEYS[1], ARGV[2] .. '\n' .. ARGV[3], 'PX', text(left))
  if redis.call('HEXISTS', KEYS[2], id) == 0 then redis.call('HINCRBY', KEYS[2], '#', size) end
  redis.call('HSET', KEYS[2], id, size)
  redis.call('ZADD', KEYS[3], text(used), id)
  redis.call('PEXPIRE', KEYS[2], age)
  redis.call('PEXPIRE', KEYS[3], age)
  return ''
end

-- Makes the records that were imported a room, unless there is one.
-- KEYS m s k g n rooms imported_s imported_k  ARGV room head epochs id number bytes at
-- -> node that is alive, or an empty text; nil if there is a room
local function import_room(KEYS, ARGV)
  local node = live_node(KEYS[5])
  if node then return node end
  if redis.call('HEXISTS', KEYS[1], 'i') == 1 then return false end
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  for i = 2, 3 do
    if redis.call('EXISTS', KEYS[i + 5]) == 1 then redis.call('RENAME', KEYS[i + 5], KEYS[i]) end
  end
  redis.call('HSET', KEYS[1], 'h', ARGV[2], 'e', ARGV[3], 'i', ARGV[4], 'n', ARGV[5], 'b', ARGV[6])
  if ARGV[7] ~= '0' then
    redis.call('ZADD', KEYS[6], 'GT', ARGV[7], ARGV[1])
    redis.call('HSET', KEYS[1], 't', ARGV[7])
  end
  -- The next message begins an epoch, whose number is above all that clients know.
  local number = tonumber(redis.call('HGET', KEYS[4], 'n')) or 0
  if number <= tonumber(ARGV[5]) then redis.call('HSET', KEYS[4], 'n', text(ARGV[5] + 1)) end
  return ''
end
