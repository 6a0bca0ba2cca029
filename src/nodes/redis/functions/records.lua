#!lua name=echoroom_1
-- The rooms of several nodes. For Redis 7.0 or later. Each function changes, or reads, all that it is about in one
-- step.
--
-- All keys of a call have one hash tag, {e<partition>}, and begin with `er:{e<partition>}:`.
--   m:<room>  hash    h offset of the last message; e all epochs, "<id>:<first offset>;" each; i id of the last one,
--                     n its number; q:<run> "<seq, 16 digits>:<first offset>" of the last round of a run of a node;
--                     b bytes of all entries ever, c how many of them are gone at least; t time in `rooms`
--   s:<room>  stream  records, id "<last offset>-<count>": h what was published of it, r its entries, b as above then
--   k:<room>  stream  keys of the records that have some, with the ids of the records: k 24 bytes for each key, which
--                     are 16 of the key, 2 of the message's place in the round, 6 of its time
--   u:<room>  hash    <name key> -> user, present or held:
--                     "<owner, 32 digits><uid>\n<nodes, a space behind each>\n<avatar>\n<name>"
--   x:<room>  hash    # version of the users; o:<owner> name key that is present or held; l:<look> name key;
--                     y:<name key> its looks; w:<name key> owner that it is reserved for, s:<name key> as the owner
--                     spells it; v:<owner> name key that is reserved for it
--   h:<room>  zset    name key -> end of the hold
--   r:<room>  zset    name key -> end of the reservation
--   p:<node>  zset    "<room>\n<name key>" of all users that have sessions at the node, all with score 0
--   n         zset    node -> end of the lease
--   graves    zset    node that is fenced -> time from which it may be given away to be buried; minus the time at
--                     which its burial ended
--   g         hash    id of the data that was seen last; n number of the newest epoch; until: nothing is appended
--                     before; l:<node> its run, for each node in `n`; bytes of the messages of all rooms, estimated
--   rooms     zset    room -> time of its last message
--   s, k      streams as s:<room> and k:<room>, of a room that is being imported
--   old       zset    room that may have names, or whose messages were forgotten -> time from which it is looked whether
--                     it is used any more
--   sweep     string  the node that has swept last, while no other one is to
--   a:<id>    string  an avatar picture, "<media type>\n<bytes>"
--   a         hash    id of a picture -> its bytes; # those of all
--   z         zset    room that may be listed -> its sessions at all nodes
--   z:<node>  hash    room -> its sessions at the node
--   ages      zset    id of a picture -> time at which it was kept last
-- All times are in milliseconds, those of leases, holds, reservations and graves by the clock of Redis.

-- Entries with more bytes are not published: nodes read them from the stream.
local MOST_PUBLISHED = 65536
-- Bytes of a key with its index and time.
local KEY = 24
-- Epochs that are kept of a room.
local MOST_EPOCHS = 16
-- How far the time of a room in `rooms` may lag behind.
local ROOMS_LAG = 10000
-- Records that are deleted in one step because a room has too many bytes: PAGES times PAGE.
local PAGES, PAGE = 16, 4
-- Fields of m from which on the rounds of nodes that are gone are removed.
local MANY_FIELDS = 64
-- Names whose time is over that are removed in one step.
local MOST_EXPIRED = 16
-- After how long it is looked whether something of a room is left that is not used any more.
local LOOK_AGAIN = 3600000
-- The first version of the users in an epoch of the partition is this much above the last one's.
local VERSIONS = 4294967296

local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- A number as text: the concatenation of Lua rounds to 14 digits.
local function text(number) return string.format('%.0f', number) end

-- How long nothing is appended, by the field `until` of g.
local function wait_of(till)
  if not till or till == '0' then return 0 end
  return math.max(0, till - now())
end

local function epochs_of(list)
  local epochs = {}
  for id, starts in string.gmatch(list or '', '([^:;]+):(%d+);') do
    epochs[#epochs + 1] = { id = id, starts = tonumber(starts) }
  end
  return epochs
end

-- How a room compares with what a node knows: its message `known` in `epoch`.
local function relation(epochs, head, epoch, known)
  if epoch == '' or known == 0 then return 'ahead' end
  for i, other in ipairs(epochs) do
    if other.id == epoch then
      local following = epochs[i + 1]
      if following then return following.starts > known and 'ahead' or 'diverged' end
      return head >= known and 'ahead' or 'behind'
    end
  end
  return #epochs == 0 and head == 0 and 'behind' or 'diverged'
end

local function begin_epoch(m, id, number, starts)
  local list = (redis.call('HGET', m, 'e') or '') .. id .. ':' .. text(starts) .. ';'
  local _, count = string.gsub(list, ';', '')
  if count > MOST_EPOCHS then list = string.sub(list, string.find(list, ';', 1, true) + 1) end
  redis.call('HSET', m, 'e', list, 'i', id, 'n', number)
end

-- Messages of a round that were said behind an offset: { 'dup', index, offset, ... }, or nil.
local function repeated(k, offset, keys)
  local records, found = redis.call('XRANGE', k, text(offset + 1), '+'), { 'dup' }
  for at = 1, #keys, KEY do
    local key = string.sub(keys, at, at + 15)
    for _, record in ipairs(records) do
      local theirs = record[2][2]
      local place = string.find(theirs, key, 1, true)
      -- The bytes of a key may also stand across two keys, or in an index or a time.
      while place and (place - 1) % KEY ~= 0 do place = string.find(theirs, key, place + 1, true) end
      if place then
        local last, count = string.match(record[1], '(%d+)-(%d+)')
        local high, low = string.byte(theirs, place + 16, place + 17)
        local own_high, own_low = string.byte(keys, at + 16, at + 17)
        found[#found + 1] = own_high * 256 + own_low
        found[#found + 1] = last - count + 1 + high * 256 + low
        break
      end
    end
  end
  return #found > 1 and found or nil
end

-- Deletes the oldest records until the entries have at most `limit` bytes, but not the newest record. `c` may be
-- lower than it should be, because other records are deleted without a look at them; it is corrected.
local function shed(m, s, k, bytes, newest, limit)
  local gone, keeps_from
  for _ = 1, PAGES do
    local records, is_enough = redis.call('XRANGE', s, keeps_from or '-', '+', 'COUNT', PAGE), false
    for _, record in ipairs(records) do
      local upto = tonumber(record[2][6])
      local before = upto - #record[2][4]
      is_enough = bytes - before <= limit or record[1] == newest
      if is_enough then gone = before; break end
      gone, keeps_from = upto, text(string.match(record[1], '%d+') + 1)
    end
    if is_enough then break end
  end
  if keeps_from then
    redis.call('XTRIM', s, 'MINID', keeps_from)
    redis.call('XTRIM', k, 'MINID', keeps_from)
  end
  if gone then redis.call('HSET', m, 'c', gone) end
end

-- Removes the last rounds of runs that have ended: they do not append any more.
local function forget_rounds(m, g)
  if redis.call('HLEN', m) < MANY_FIELDS then return end
  local live, nodes = {}, redis.call('HGETALL', g)
  for i = 1, #nodes, 2 do live[nodes[i + 1]] = true end
  for _, field in ipairs(redis.call('HKEYS', m)) do
    local run = string.match(field, '^q:(.*)$')
    if run and not live[run] then redis.call('HDEL', m, field) end
  end
end

-- The head of a record. `tail` is what stands in it behind its epoch, `size` the bytes of its entries.
local function head_of(first, epoch, tail, size)
  return (size > MOST_PUBLISHED and 'L' or 'R') .. first .. ' ' .. epoch .. tail
end

-- Stores and publishes a record. KEYS m s k g rooms. `tail` is what is published of it behind its epoch. `before` is
-- the fields b, c and t of m before.
local function put(KEYS, room, channel, first, count, at, epoch, tail, keys, entries, before, limits, q, seq)
  local size, begins, last = #entries, text(first), text(first + count - 1)
  local id, oldest = last .. '-' .. count, math.max(0, first + count - limits.history)
  local bytes = (tonumber(before[1]) or 0) + size
  local head, total = head_of(begins, epoch, tail, size), text(bytes)
  if keys ~= '' then redis.call('XADD', KEYS[3], 'MINID', '~', oldest, id, 'k', keys) end
  redis.call('XADD', KEYS[2], 'MINID', '~', oldest, id, 'h', head, 'r', entries, 'b', total)
  if q then
    redis.call('HSET', KEYS[1], 'h', last, 'b', total, q, seq .. ':' .. begins)
  else
    redis.call('HSET', KEYS[1], 'h', last, 'b', total)
  end
  redis.call('SPUBLISH', channel, head)
  if size <= MOST_PUBLISHED then redis.call('SPUBLISH', channel, entries) end
  if bytes - (tonumber(before[2]) or 0) > limits.bytes then
    shed(KEYS[1], KEYS[2], KEYS[3], bytes, id, limits.bytes)
  end
  if at - (tonumber(before[3]) or 0) >= ROOMS_LAG then
    redis.call('ZADD', KEYS[5], 'GT', at, room)
    redis.call('HSET', KEYS[1], 't', at)
  end
end

-- KEYS m s k g rooms
-- ARGV node seq known_epoch known_head count at entries keys tail nonce channel room history bytes run looked_to
-- -> first offset | { 'old' | 'fenced' | 'behind' | 'diverged' } | { 'wait', ms } | { 'dup', index, offset, ... }
local function append(KEYS, ARGV)
  local node, seq, known = ARGV[1], ARGV[2], tonumber(ARGV[4])
  local q, looked_to = 'q:' .. ARGV[15], tonumber(ARGV[16])
  local g = redis.call('HMGET', KEYS[4], 'l:' .. node, 'until', 'n')
  if not g[1] then return { 'fenced' } end
  local m = redis.call('HMGET', KEYS[1], 'b', 'c', 't', q, 'h', 'i', 'n')
  if m[4] then
    local last = string.sub(m[4], 1, 16)
    if last == seq then return tonumber(string.sub(m[4], 18)) end
    if last > seq then return { 'old' } end
  else
    forget_rounds(KEYS[1], KEYS[4])
  end
  if g[2] ~= '0' then
    local wait = wait_of(g[2])
    if wait > 0 then return { 'wait', wait } end
    redis.call('HSET', KEYS[4], 'until', 0)
  end
  local head = tonumber(m[5]) or 0
  if ARGV[3] ~= m[6] or known > head then
    local is = relation(epochs_of(redis.call('HGET', KEYS[1], 'e')), head, ARGV[3], known)
    if is ~= 'ahead' then return { is } end
  end
  if looked_to < head and ARGV[8] ~= '' then
    local found = repeated(KEYS[3], looked_to, ARGV[8])
    if found then return found end
  end
  local epoch = m[6]
  if not epoch then redis.call('DEL', KEYS[2], KEYS[3]) end -- of a room whose hash was evicted
  if m[7] ~= g[3] then
    epoch = ARGV[10] .. '-' .. g[3]
    begin_epoch(KEYS[1], epoch, g[3], head + 1)
  end
  local limits = { history = tonumber(ARGV[13]), bytes = tonumber(ARGV[14]) }
  put(KEYS, ARGV[12], ARGV[11], head + 1, tonumber(ARGV[5]), tonumber(ARGV[6]), epoch, ARGV[9], ARGV[8], ARGV[7], m,
    limits, q, seq)
  return head + 1
end

-- Where the epochs of a node begin to go on from a room: the place of the room's last epoch among them; nil if the room
-- has gone another way.
local function place_of(epochs, id, head)
  for i, epoch in ipairs(epochs) do
    if epoch.id == id then
      local following = epochs[i + 1]
      return (not following or head < following.starts) and i or nil
    end
  end
  return nil
end

-- Has a room begin at an offset, with those of the epochs that had begun there.
local function begin_at(m, epochs, first)
  local list, last = '', nil
  for _, epoch in ipairs(epochs) do
    if epoch.starts <= first then list, last = list .. epoch.id .. ':' .. text(epoch.starts) .. ';', epoch.id end
  end
  if not last then return nil end
  redis.call('HSET', m, 'e', list, 'i', last, 'n', string.match(last, '%d+$'), 'h', text(first - 1))
  return last
end

-- KEYS m s k g rooms
-- ARGV epochs over_gap channel room history bytes node [first count at epoch run seq keys tail entries]...
-- -> { 'to' | 'diverged' | 'fenced', offset of the last message }
local function heal(KEYS, ARGV)
  if redis.call('HEXISTS', KEYS[4], 'l:' .. ARGV[7]) == 0 then return { 'fenced', 0 } end
  local m = redis.call('HMGET', KEYS[1], 'b', 'c', 't', 'h', 'i')
  local head, epoch, theirs = tonumber(m[4]) or 0, m[5], epochs_of(ARGV[1])
  local begins, limits = tonumber(ARGV[8]), { history = tonumber(ARGV[5]), bytes = tonumber(ARGV[6]) }
  if not begins then return { 'to', head } end
  if not epoch then
    -- Nothing is left of the room. Offsets that were given out before are not given out again.
    redis.call('DEL', KEYS[2], KEYS[3])
    epoch, head = begin_at(KEYS[1], theirs, begins), begins - 1
  elseif not place_of(theirs, epoch, head) then
    return { 'diverged', head }
  elseif ARGV[2] == '1' and begins > head + 1 then
    epoch = begin_at(KEYS[1], theirs, begins)
    if epoch then
      redis.call('DEL', KEYS[2], KEYS[3])
      head = begins - 1
    end
  end
  if not epoch then return { 'diverged', head } end
  for i = 8, #ARGV, 9 do
    local first, count = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
    if first == head + 1 then
      if ARGV[i + 3] ~= epoch then
        epoch = ARGV[i + 3]
        begin_epoch(KEYS[1], epoch, string.match(epoch, '%d+$'), first)
      end
      local q = 'q:' .. ARGV[i + 4]
      local known = redis.call('HGET', KEYS[1], q)
      if known and string.sub(known, 1, 16) >= ARGV[i + 5] then q = nil end
      put(KEYS, ARGV[4], ARGV[3], first, count, tonumber(ARGV[i + 2]), epoch, ARGV[i + 7], ARGV[i + 6],
        ARGV[i + 8], m, limits, q, ARGV[i + 5])
      m, head = redis.call('HMGET', KEYS[1], 'b', 'c', 't'), first + count - 1
    end
  end
  return { 'to', head }
end

-- How many records to read next, to have about `left` bytes more.
local function page_size(left, bytes, count)
  if count == 0 then return 1 end
  return math.max(1, math.min(64, math.floor(left * count / math.max(bytes, 1))))
end

-- Adds head and entries of records that are read from an id on, until `is_full`, which is told the bytes and the
-- number of the messages of each, says that it was the last one to add.
local function take(s, command, from, to, max_bytes, is_full, into)
  local bytes, read = 0, 0
  while true do
    local size = page_size(max_bytes - bytes, bytes, read)
    local records = redis.call(command, s, from, to, 'COUNT', size)
    for _, record in ipairs(records) do
      into[#into + 1], into[#into + 2] = record[2][2], record[2][4]
      bytes, read, from = bytes + #record[2][4], read + 1, '(' .. record[1]
      if is_full(#record[2][4], tonumber(string.match(record[1], '%d+$'))) then return into end
    end
    if #records < size then return into end
  end
end

-- KEYS s  ARGV after max_bytes -> head, entries, ...
local function read(KEYS, ARGV)
  local max, bytes = tonumber(ARGV[2]), 0
  local function is_full(size)
    bytes = bytes + size
    return bytes >= max
  end
  return take(KEYS[1], 'XRANGE', text(ARGV[1] + 1), '+', max, is_full, {})
end

-- Records with all entries of a page, and one more. The first record does not count: its entries may be out of the
-- page.
-- KEYS s  ARGV 'after' | 'before', offset, limit, max_bytes -> head, entries, ...
local function page(KEYS, ARGV)
  local offset, limit, max = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
  local records, bytes, count = {}, 0, 0
  local function is_full(size, messages)
    local was_full = bytes >= max or count >= limit
    if #records > 2 then bytes, count = bytes + size, count + messages end
    return was_full and #records > 2
  end
  if ARGV[1] == 'after' then return take(KEYS[1], 'XRANGE', text(offset + 1), '+', max, is_full, records) end
  if offset < 2 then return records end
  local from, around = '+', redis.call('XRANGE', KEYS[1], text(offset - 1), '+', 'COUNT', 1)[1]
  if around then
    from = '(' .. around[1]
    local last, messages = string.match(around[1], '(%d+)-(%d+)')
    if last - messages + 1 < offset then records[1], records[2] = around[2][2], around[2][4] end
  end
  return take(KEYS[1], 'XREVRANGE', from, '-', max, is_full, records)
end

-- KEYS m s k rooms old  ARGV channel room -> whether there was anything
local function forget(KEYS, ARGV)
  local had = redis.call('XLEN', KEYS[2]) > 0
  redis.call('DEL', KEYS[2], KEYS[3])
  redis.call('ZREM', KEYS[4], ARGV[2])
  if not had then return 0 end
  redis.call('HDEL', KEYS[1], 't')
  redis.call('ZADD', KEYS[5], 'GT', now() + LOOK_AGAIN, ARGV[2])
  redis.call('SPUBLISH', ARGV[1], 'F' .. redis.call('HGET', KEYS[1], 'h'))
  return 1
end

