#!lua name=sluice_3

-- Values are REVISION "\n" BODY; an empty body is a floor. Redis is a copy: whatever these refuse, nothing is lost.
--
-- The number in the names is the version of this file (RedisFunctions.swift), and rises with every change of it: a build loads and calls
-- its own alone, so that builds of different versions work side by side, as they do during an upgrade. They share the keys: a value whose
-- form changes needs a key of its own.
local prefix = 'sluice_3_'

-- A value without a line end is none of ours: it is below every revision, and written over.
local function revision_of(value)
    return tonumber(string.match(value, '^(%d+)\n')) or -1
end

local function has_body(value)
    local line_end = value and string.find(value, '\n', 1, true)
    return line_end and #value > line_end
end

-- What a worker writes it writes many keys at a time: most of what a function costs is its call.
--
-- The arguments are a revision and a body for each key, then what holds for all. Applies `write(current, revision, body, place)` to each;
-- stores what it returns, a value and its time to live in milliseconds. A key that cannot be written (of another type) does not keep the
-- others from it; the answer is its error then, and whoever wrote writes all of them again.
local function write_all(keys, args, write)
    local failure
    for index, key in ipairs(keys) do
        local current = redis.pcall('GET', key)
        if type(current) == 'table' and current.err then
            failure = current
        else
            local value, ttl = write(current, args[2 * index - 1], args[2 * index], index)
            if value then
                local answer = redis.pcall('SET', key, value, 'PX', ttl)
                if answer.err then failure = answer end
            end
        end
    end
    return failure
end

-- The worker's write after a commit: a body where a body stands (somebody reads it), a floor elsewhere and where none is given, and
-- nothing where a revision as high is. Tells with a bit for each key, the lowest first, where a body stood: a worker gives bodies of those.
local function put_all(keys, args)
    local ttl, floor_ttl = args[#args - 1], args[#args]
    local read = 0
    local failure = write_all(keys, args, function(current, revision, body, place)
        local stood = has_body(current)
        if stood then read = read + 2 ^ (place - 1) end
        if current and revision_of(current) >= tonumber(revision) then return nil end
        if stood and body ~= '' then return revision .. '\n' .. body, ttl end
        return revision .. '\n', floor_ttl
    end)
    return failure or read
end

-- Bodies for floors. Only where the floor of just this revision stands: where a later one does the body is old, and where nothing does
-- nobody knows, since what stood there may have been lost with the whole server's memory.
local function complete_all(keys, args)
    local ttl = args[#args]
    return write_all(keys, args, function(current, revision, body)
        if current == revision .. '\n' then return revision .. '\n' .. body, ttl end
    end) or #keys
end

-- As `fill` of a payment that has just been decided.
local function fill_all(keys, args)
    local ttl = args[#args]
    return write_all(keys, args, function(current, revision, body)
        if current and revision_of(current) > tonumber(revision) then return nil end
        return revision .. '\n' .. body, ttl
    end) or #keys
end

-- Milliseconds since 1970, as this server counts them.
local function now_milliseconds()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- For so long a lease is good at most.
local lease_milliseconds = 1000

-- A lease is EPOCH COUNT CREATED DEADLINE, times in milliseconds. Returns epoch, count and creation, and for how many milliseconds it
-- is still good; nothing where there is no lease. A deadline further away than a lease's life is of before this server's clock
-- was set back, and says nothing; and what was created in the future was created now, or nobody's fill would be taken until then.
local function lease_of(key, now)
    local value = redis.call('GET', key)
    if not value then return nil end
    local epoch, count, created, deadline = string.match(value, '^(%d+) (%d+) (%d+) (%d+)$')
    if not epoch then return nil end
    local left = math.max(0, tonumber(deadline) - now)
    if left > lease_milliseconds then left = 0 end
    return tonumber(epoch), tonumber(count), math.min(tonumber(created), now), left
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
    local owner, count, created = lease_of(keys[1], now)
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
        local _, _, _, good = lease_of(key, now)
        left[index] = good or 0
    end
    return left
end

-- A reader's fill after a miss. Nothing below what is there is stored; a floor of the same revision is filled.
--
-- With a lease as the second key the reader says how old its snapshot may be. The floors that would turn an old one away were lost
-- if this server was emptied since; the lease was created after that. Without a good lease changes may be missing here, and floors.
local function fill(keys, args)
    if keys[2] then
        local now = now_milliseconds()
        local owner, _, created, good = lease_of(keys[2], now)
        if not owner or good == 0 or now - tonumber(args[4]) < created then return 0 end
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

local function register(name, callback, ...)
    redis.register_function { function_name = prefix .. name, callback = callback, flags = { ... } }
end

-- A full Redis refuses fills, which only keep it full. It never refuses what is newer: the old balance would be shown until it expires.
register('put_all', put_all, 'allow-oom')
register('complete_all', complete_all)
register('fill_all', fill_all)
register('fill', fill)
register('renew', renew, 'allow-oom')
register('fresh', fresh, 'no-writes')
-- What changed replaces what was: a payment's older body must not outlive the change, not even in a full Redis.
register('replace', fill, 'allow-oom')
register('unmark', unmark, 'allow-oom')
