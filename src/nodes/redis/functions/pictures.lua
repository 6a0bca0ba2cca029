-- Avatar pictures.

-- Keeps a picture, which is a hash of its bytes, and removes others until all have at most `most` bytes: those that were
-- kept longest ago first.
-- KEYS a:<id> a ages  ARGV id type bytes age most prefix -> 1
local function picture(KEYS, ARGV)
  local id, size, t, age = ARGV[1], #ARGV[3], now(), tonumber(ARGV[4])
  local total = tonumber(redis.call('HGET', KEYS[2], '#') or 0)
  local function drop(other)
    total = total - (tonumber(redis.call('HGET', KEYS[2], other)) or 0)
    redis.call('DEL', ARGV[6] .. 'a:' .. other)
    redis.call('HDEL', KEYS[2], other)
    redis.call('ZREM', KEYS[3], other)
  end
  for _, over in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], 0, t - age, 'LIMIT', 0, MOST_EXPIRED)) do drop(over) end
  if redis.call('HEXISTS', KEYS[2], id) == 0 then total = total + size end
  redis.call('SET', KEYS[1], ARGV[2] .. '\n' .. ARGV[3], 'PX', age)
  redis.call('ZADD', KEYS[3], t, id)
  redis.call('HSET', KEYS[2], id, size)
  for _ = 1, MOST_EXPIRED do
    local oldest = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
    if total <= tonumber(ARGV[5]) or oldest == id then break end
    drop(oldest)
  end
  redis.call('HSET', KEYS[2], '#', text(total))
  -- Without pictures nothing is left.
  redis.call('PEXPIRE', KEYS[2], age)
  redis.call('PEXPIRE', KEYS[3], age)
  return 1
end

