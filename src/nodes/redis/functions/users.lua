-- Users of rooms.

-- What a change of users in a room is about. While a Redis Cluster moves keys of the slot to another server, this is an
-- error if one of them is not here: a change must not end in its middle.
local function room_of(prefix, name, ask, channel, node, number, max_held)
  local room = {
    name = name, ask = ask, channel = channel, node = node, number = tonumber(number), max_held = max_held, t = now(),
    u = prefix .. 'u:' .. name, x = prefix .. 'x:' .. name, h = prefix .. 'h:' .. name, r = prefix .. 'r:' .. name,
    p = prefix .. 'p:' .. node, old = prefix .. 'old',
  }
  redis.call('EXISTS', room.u, room.x, room.h, room.r, room.p, room.old)
  return room
end

-- Owner and uid, nodes, and what it shows.
local function parse(user) return string.match(user, '^([^\n]*)\n([^\n]*)\n(.*)$') end

-- Publishes a user, as it is now. Returns the version of the users.
local function tell(room, user, held_for)
  local version = redis.call('HINCRBY', room.x, '#', 1)
  if version < room.number * VERSIONS then
    version = room.number * VERSIONS
    redis.call('HSET', room.x, '#', version)
  end
  redis.call('ZADD', room.old, 'GT', room.t + LOOK_AGAIN, room.name)
  redis.call('SPUBLISH', room.channel, 'P' .. text(version) .. ' ' .. room.node .. ' ' .. room.ask .. ' ' ..
    text(held_for) .. '\n' .. user)
  return version
end

-- When the hold or the reservation of a name ends; 0 if there is none.
local function ends(names, key) return tonumber(redis.call('ZSCORE', names, key) or 0) end

-- The owner of a name that is in use or reserved, and the nodes at which it has sessions.
local function owner_of(room, key)
  local user = redis.call('HGET', room.u, key)
  if user then
    local who, nodes = parse(user)
    if nodes ~= '' or ends(room.h, key) > room.t then return string.sub(who, 1, 32), nodes end
  end
  return ends(room.r, key) > room.t and redis.call('HGET', room.x, 'w:' .. key) or nil, ''
end

-- Removes the looks of a name that is neither in use nor reserved.
local function tidy(room, key)
  if redis.call('HEXISTS', room.u, key) == 1 or redis.call('ZSCORE', room.r, key) then return end
  for look in string.gmatch(redis.call('HGET', room.x, 'y:' .. key) or '', '[^\n]+') do
    if redis.call('HGET', room.x, 'l:' .. look) == key then redis.call('HDEL', room.x, 'l:' .. look) end
  end
  redis.call('HDEL', room.x, 'y:' .. key)
end

-- Deletes the field of a hash that leads from an owner to a name, if it leads to this one.
local function unlink(x, field, key)
  if redis.call('HGET', x, field) == key then redis.call('HDEL', x, field) end
end

local function remove(room, key, who)
  redis.call('HDEL', room.u, key)
  redis.call('ZREM', room.h, key)
  unlink(room.x, 'o:' .. string.sub(who, 1, 32), key)
  tidy(room, key)
end

local function release(room, key)
  local owner = redis.call('HGET', room.x, 'w:' .. key)
  redis.call('ZREM', room.r, key)
  redis.call('HDEL', room.x, 'w:' .. key, 's:' .. key)
  if owner then unlink(room.x, 'v:' .. owner, key) end
  tidy(room, key)
end

local function remove_held(room, key)
  local user = redis.call('HGET', room.u, key)
  if user then remove(room, key, parse(user)) else redis.call('ZREM', room.h, key) end
end

-- Removes names whose time is over: this one, and some others.
local function expire(room, key)
  local held, reserved = ends(room.h, key), ends(room.r, key)
  if held > 0 and held <= room.t then remove_held(room, key) end
  if reserved > 0 and reserved <= room.t then release(room, key) end
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', room.h, 0, room.t, 'LIMIT', 0, MOST_EXPIRED)) do
    remove_held(room, other)
  end
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', room.r, 0, room.t, 'LIMIT', 0, MOST_EXPIRED)) do
    release(room, other)
  end
end

-- Takes the node out of a user, and holds the name for `hold` if it was the last one. Returns the version of the
-- users; nil if the user was not there.
local function take_out(room, key, hold)
  redis.call('ZREM', room.p, room.name .. '\n' .. key)
  local user = redis.call('HGET', room.u, key)
  if not user then return nil end
  local who, nodes, shown = parse(user)
  local from, to = string.find(nodes, room.node .. ' ', 1, true)
  if not from then return nil end
  nodes = string.sub(nodes, 1, from - 1) .. string.sub(nodes, to + 1)
  user = who .. '\n' .. nodes .. '\n' .. shown
  if nodes ~= '' then
    redis.call('HSET', room.u, key, user)
    return tell(room, user, 0)
  end
  if hold > 0 and redis.call('ZCOUNT', room.h, '(' .. text(room.t), '+inf') < room.max_held then
    redis.call('HSET', room.u, key, user)
    redis.call('ZADD', room.h, room.t + hold, key)
    return tell(room, user, hold)
  end
  remove(room, key, who)
  return tell(room, user, 0)
end

-- Reserves a name for its owner instead of another one, unless as many are reserved as may be.
local function reserve(room, key, owner, time, spelling)
  local other, theirs = redis.call('HGET', room.x, 'v:' .. owner), redis.call('HGET', room.x, 'w:' .. key)
  if other and other ~= key then release(room, other) end
  -- An owner who is present with another name has come to its reserved name as a spare one.
  if theirs and theirs ~= owner then release(room, key) end
  if theirs == owner or redis.call('ZCOUNT', room.r, '(' .. text(room.t), '+inf') < room.max_held then
    redis.call('HSET', room.x, 'w:' .. key, owner, 'v:' .. owner, key, 's:' .. key, spelling)
    redis.call('ZADD', room.r, room.t + time, key)
  end
end

-- Whether a name is another user's, or looks like one that is. `is_own` tells whether an owner is that of the claim.
local function is_taken(room, key, looks, leaves, is_own)
  if not is_own(owner_of(room, key)) then return true end
  for look in string.gmatch(looks, '[^\n]+') do
    local other = redis.call('HGET', room.x, 'l:' .. look)
    if other and other ~= key then
      local owner, nodes = owner_of(room, other)
      if nodes == '' then
        if not is_own(owner) then return true end
      elseif other ~= leaves or nodes ~= room.node .. ' ' then
        -- Only the former name of the session does not count, if no other session has it.
        return true
      end
    end
  end
  return false
end

local function claim_looks(room, key, looks)
  local known = redis.call('HGET', room.x, 'y:' .. key) or ''
  for look in string.gmatch(looks, '[^\n]+') do
    redis.call('HSET', room.x, 'l:' .. look, key)
    if not string.find('\n' .. known, '\n' .. look .. '\n', 1, true) then known = known .. look .. '\n' end
  end
  redis.call('HSET', room.x, 'y:' .. key, known)
end

-- Who comes with a new name: an owner has one name that is present or held. A name that is held for it is given up,
-- and if it is present with another name, it comes as `spare`.
local function newcomer(room, key, who, spare)
  if who == '' then return spare end
  local other = redis.call('HGET', room.x, 'o:' .. string.sub(who, 1, 32))
  if not other or other == key then return who end
  local user = redis.call('HGET', room.u, other)
  local _, nodes = parse(user)
  if nodes ~= '' then return spare end
  local is_held = ends(room.h, other) > room.t
  remove(room, other, who)
  if is_held then tell(room, user, 0) end
  return who
end

-- KEYS u g  ARGV node ask key who spare shown looks leaves reserves_for prefix room channel max_held
-- -> { 'yes', version, owner } | { 'taken' } | { 'fenced' }
local function enter(KEYS, ARGV)
  local node, key, who, spare = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
  local g = redis.call('HMGET', KEYS[2], 'l:' .. node, 'n')
  if not g[1] then return { 'fenced' } end
  local room = room_of(ARGV[10], ARGV[11], ARGV[2], ARGV[12], node, g[2], tonumber(ARGV[13]))
  expire(room, key)
  -- A spare owner is made for one claim: a name that it has was given by this claim, whose answer was lost.
  local function is_own(owner)
    return not owner or owner == string.sub(who, 1, 32) or owner == string.sub(spare, 1, 32)
  end
  if is_taken(room, key, ARGV[7], ARGV[8], is_own) then return { 'taken' } end
  claim_looks(room, key, ARGV[7])
  if ARGV[8] ~= '' and ARGV[8] ~= key then take_out(room, ARGV[8], 0) end
  local old, nodes = redis.call('HGET', room.u, key), ''
  local old_who
  if old then old_who, nodes = parse(old) end
  -- A name that is held for the claimant is given up also if it joins a user that is present.
  local coming = newcomer(room, key, who, spare)
  if nodes ~= '' then
    coming = old_who
  elseif old then
    redis.call('ZREM', room.h, key)
    unlink(room.x, 'o:' .. string.sub(old_who, 1, 32), key)
  end
  if not string.find(nodes, node .. ' ', 1, true) then nodes = nodes .. node .. ' ' end
  local user, owner = coming .. '\n' .. nodes .. '\n' .. ARGV[6], string.sub(coming, 1, 32)
  local version
  -- What a session asks for is published though it changes nothing: its node has then heard all that was said before.
  if user ~= old or room.ask ~= '-' then
    redis.call('HSET', room.u, key, user)
    redis.call('HSET', room.x, 'o:' .. owner, key)
    redis.call('ZADD', room.p, 0, room.name .. '\n' .. key)
    version = tell(room, user, 0)
  end
  if ARGV[9] ~= '0' then reserve(room, key, owner, tonumber(ARGV[9]), string.match(ARGV[6], '[^\n]*$')) end
  return { 'yes', version or tonumber(redis.call('HGET', room.x, '#') or 0), owner }
end

-- KEYS u g  ARGV node key hold releases prefix room channel max_held -> version | nil
local function leave(KEYS, ARGV)
  local node, key = ARGV[1], ARGV[2]
  local g = redis.call('HMGET', KEYS[2], 'l:' .. node, 'n')
  if not g[1] then return false end
  local room = room_of(ARGV[5], ARGV[6], '-', ARGV[7], node, g[2], tonumber(ARGV[8]))
  local user = redis.call('HGET', room.u, key)
  local version = take_out(room, key, tonumber(ARGV[3]))
  if version and ARGV[4] == '1' and redis.call('HGET', room.x, 'w:' .. key) == string.sub(user, 1, 32) then
    release(room, key)
  end
  return version or false
end

-- KEYS m k u x h g  ARGV wants_keys version
-- -> { head, epochs, wait, version, [name key, user, held for, ...] | nil, [id, keys, ...] }
local function open(KEYS, ARGV)
  local m = redis.call('HMGET', KEYS[1], 'h', 'e')
  local head, version = tonumber(m[1]) or 0, tonumber(redis.call('HGET', KEYS[4], '#') or 0)
  local people, keys = false, {}
  if version ~= tonumber(ARGV[2]) then
    people = {}
    local users, t = redis.call('HGETALL', KEYS[3]), now()
    for i = 1, #users, 2 do
      local held_for = 0
      local _, nodes = parse(users[i + 1])
      if nodes == '' then held_for = math.max(0, ends(KEYS[5], users[i]) - t) end
      if nodes ~= '' or held_for > 0 then
        people[#people + 1], people[#people + 2], people[#people + 3] = users[i], users[i + 1], held_for
      end
    end
  end
  if ARGV[1] == '1' then
    for _, record in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
      keys[#keys + 1], keys[#keys + 2] = record[1], record[2][2]
    end
  end
  return {
    head, m[2] or '',
    wait_of(redis.call('HGET', KEYS[6], 'until')), version, people, keys,
  }
end

