-- What wrk sends: the path and the API key come by environment, so that the key is in no argument list.
wrk.path = os.getenv("BENCH_PATH") or "/"
local key = os.getenv("BENCH_KEY")
if key then wrk.headers["Authorization"] = "Bearer " .. key end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        "RESULT {\"requests\":%d,\"microseconds\":%d,\"p50_us\":%d,\"p99_us\":%d,\"errors\":%d,\"statuses\":%d}\n",
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
