#!lua name=sluice_worker

-- What a worker writes after a commit, many keys at a time: most of what a function costs is its call. A library of its own, so that a
-- process of an earlier build, which loads only the other one, does not take these away.
--
-- The arguments are a revision and a body for each key, then what holds for all. A key that cannot be written (of another type) does not
-- keep the others from it; the answer is its error then, and whoever wrote writes all of them again.

-- A value without a line end is none of ours: it is below every revision, and written over.
local function revision_of(value)
    return tonumber(string.match(value, '^(%d+)\n')) or -1
end

local function has_body(value)
    local line_end = value and string.find(value, '\n', 1, true)
    return line_end and #value > line_end
end

-- Applies `write(current, revision, body, place)` to each; stores what it returns, a value and its time to live in milliseconds.
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

-- As sluice_put: a body where a body stands (somebody reads it), a floor elsewhere and where none is given, and nothing where a revision
-- as high is. Tells with a bit for each key, the lowest first, where a body stood: a worker gives bodies of those.
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

-- As sluice_fill of a payment that has just been decided.
local function fill_all(keys, args)
    local ttl = args[#args]
    return write_all(keys, args, function(current, revision, body)
        if current and revision_of(current) > tonumber(revision) then return nil end
        return revision .. '\n' .. body, ttl
    end) or #keys
end

-- A full Redis refuses fills, which only keep it full, and never what is newer.
redis.register_function { function_name = 'sluice_put_all', callback = put_all, flags = { 'allow-oom' } }
redis.register_function('sluice_complete_all', complete_all)
redis.register_function('sluice_fill_all', fill_all)
