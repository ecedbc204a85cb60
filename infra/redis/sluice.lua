#!lua name=sluice

-- Values are REVISION "\n" BODY; an empty body is a floor. Redis is a copy: whatever these refuse, nothing is lost.

local function revision_of(value)
    return tonumber(string.match(value, '^(%d+)\n')) or -1
end

local function has_body(value)
    local line_end = value and string.find(value, '\n', 1, true)
    return line_end and #value > line_end
end

-- The worker's write after a commit. A body is stored where a body stands (somebody reads it), a floor elsewhere.
local function put(keys, args)
    local revision, body = tonumber(args[1]), args[2]
    local ttl, floor_ttl = args[3], args[4]
    local current = redis.call('GET', keys[1])
    if current and revision_of(current) >= revision then return 0 end
    if has_body(current) then
        redis.call('SET', keys[1], args[1] .. '\n' .. body, 'PX', ttl)
        return 2
    end
    redis.call('SET', keys[1], args[1] .. '\n', 'PX', floor_ttl)
    return 1
end

-- Milliseconds since 1970, as this server counts them.
local function now_milliseconds()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A lease is EPOCH COUNT CREATED DEADLINE, times in milliseconds. Returns them, or nothing where there is no lease.
local function lease_of(key)
    local value = redis.call('GET', key)
    if not value then return nil end
    local epoch, count, created, deadline = string.match(value, '^(%d+) (%d+) (%d+) (%d+)$')
    return tonumber(epoch), tonumber(count), tonumber(created), tonumber(deadline)
end

-- An owner's number is its epoch, and 2^40 times the line of the ledger's history: how often its database was promoted or restored.
local function line_of(owner)
    return math.floor(owner / 2 ^ 40)
end

-- A worker says that everything it has committed is here. Its lease outlives its deadline: who wrote it last is known for as long.
-- Returns how often it was renewed; -1 when a later owner has written it; -2 when this server has forgotten renewals that it
-- confirmed, and so may hold values from before them; -3 when the lease is of an earlier line: this server may hold what the ledger lost.
local function renew(keys, args)
    local epoch, lifetime, confirmed = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
    local now = now_milliseconds()
    local owner, count, created = lease_of(keys[1])
    if owner and owner > epoch then return -1 end
    if owner == epoch and count < confirmed then return -2 end
    if owner and line_of(owner) < line_of(epoch) then return -3 end
    count = (count or 0) + 1
    redis.call('SET', keys[1], string.format('%.0f %.0f %.0f %.0f', epoch, count, created or now, now + lifetime), 'PX', 86400000)
    return count
end

-- For how many milliseconds each of the leases is still good; 0 for one that is not there.
local function fresh(keys)
    local now = now_milliseconds()
    local left = {}
    for index, key in ipairs(keys) do
        local _, _, _, deadline = lease_of(key)
        left[index] = math.max(0, (deadline or 0) - now)
    end
    return left
end

-- A reader's fill after a miss. Nothing below what is there is stored; a floor of the same revision is filled.
--
-- With a lease as the second key the reader says how old its snapshot may be. The floors that would turn an old one away were lost
-- if this server was emptied since; the lease was created after that. Without a good lease changes may be missing here, and floors.
local function fill(keys, args)
    if keys[2] then
        local owner, _, created, deadline = lease_of(keys[2])
        local now = now_milliseconds()
        if not owner or deadline <= now or now - tonumber(args[4]) < created then return 0 end
    end
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
redis.register_function { function_name = 'sluice_renew', callback = renew, flags = { 'allow-oom' } }
redis.register_function { function_name = 'sluice_fresh', callback = fresh, flags = { 'no-writes' } }
-- What changed replaces what was: a payment's older body must not outlive the change, not even in a full Redis.
redis.register_function { function_name = 'sluice_replace', callback = fill, flags = { 'allow-oom' } }
redis.register_function { function_name = 'sluice_unmark', callback = unmark, flags = { 'allow-oom' } }
