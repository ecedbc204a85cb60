#!lua name=sluice_worker

-- What a worker writes after a commit, many keys at a time: most of what a function costs is its call. A library of its own, so that a
-- process of an earlier build, which loads only the other one, does not take these away.
--
-- The arguments are a revision and a body for each key, then what holds for all. A key that cannot be written (of another type) does not
-- keep the others from it; the answer is its error then, and whoever wrote writes all of them again.

local function revision_of(value)
    return tonumber(string.match(value, '^(%d+)\n')) or -1
end

-- Applies `write(key, current, revision, body)` to each; stores what it returns, a value and its time to live in milliseconds.
local function write_all(keys, args, write)
    local failure
    for index, key in ipairs(keys) do
        local current = redis.pcall('GET', key)
        if type(current) == 'table' and current.err then
            failure = current
        else
            local value, ttl = write(current, args[2 * index - 1], args[2 * index])
            if value then
                local answer = redis.pcall('SET', key, value, 'PX', ttl)
                if answer.err then failure = answer end
            end
        end
    end
    return failure or #keys
end

-- As sluice_put: a body where a body stands (somebody reads it), a floor elsewhere, and nothing where a revision as high is.
local function put_all(keys, args)
    local ttl, floor_ttl = args[#args - 1], args[#args]
    return write_all(keys, args, function(current, revision, body)
        if not current then return revision .. '\n', floor_ttl end
        if revision_of(current) >= tonumber(revision) then return nil end
        if #current > string.find(current, '\n', 1, true) then return revision .. '\n' .. body, ttl end
        return revision .. '\n', floor_ttl
    end)
end

-- As sluice_fill of a payment that has just been decided.
local function fill_all(keys, args)
    local ttl = args[#args]
    return write_all(keys, args, function(current, revision, body)
        if current and revision_of(current) > tonumber(revision) then return nil end
        return revision .. '\n' .. body, ttl
    end)
end

-- A full Redis refuses fills, which only keep it full, and never what is newer.
redis.register_function { function_name = 'sluice_put_all', callback = put_all, flags = { 'allow-oom' } }
redis.register_function('sluice_fill_all', fill_all)
