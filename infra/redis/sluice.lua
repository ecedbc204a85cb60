#!lua name=sluice

-- Values are REVISION "\n" BODY; an empty body is a floor. Redis is a copy: whatever these refuse, nothing is lost.

local function revision_of(value)
    return tonumber(string.match(value, '^(%d+)\n')) or -1
end

-- The worker's write after a commit. A body is stored where a body stands (somebody reads it), a floor elsewhere.
local function put(keys, args)
    local revision, body = tonumber(args[1]), args[2]
    local ttl, floor_ttl = args[3], args[4]
    local current = redis.call('GET', keys[1])
    if current and revision_of(current) >= revision then return 0 end
    if current and #current > string.find(current, '\n', 1, true) then
        redis.call('SET', keys[1], args[1] .. '\n' .. body, 'PX', ttl)
        return 2
    end
    redis.call('SET', keys[1], args[1] .. '\n', 'PX', floor_ttl)
    return 1
end

-- A reader's fill after a miss. Nothing below what is there is stored; a floor of the same revision is filled.
local function fill(keys, args)
    local revision = tonumber(args[1])
    local current = redis.call('GET', keys[1])
    if current and revision_of(current) > revision then return 0 end
    redis.call('SET', keys[1], args[1] .. '\n' .. args[2], 'PX', args[3])
    return 1
end

-- Takes a command's marker away that was set before producing, unless somebody else's attempt was accepted since: that one has
-- given it the longer life.
local function unmark(keys, args)
    if redis.call('PTTL', keys[1]) > tonumber(args[1]) then return 0 end
    return redis.call('DEL', keys[1])
end

-- A full Redis refuses fills, which only keep it full. It never refuses what is newer: the old balance would be shown until it expires.
redis.register_function { function_name = 'sluice_put', callback = put, flags = { 'allow-oom' } }
redis.register_function('sluice_fill', fill)
redis.register_function { function_name = 'sluice_unmark', callback = unmark, flags = { 'allow-oom' } }
