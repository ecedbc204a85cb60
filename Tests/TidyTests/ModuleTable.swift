/// Who may import whom: the table of docs/architecture.md as data, and who may use what comes from outside.
enum ModuleTable {
    /// A module from outside, who may import it, and why nobody else.
    struct Grant {
        let module: String
        let users: Set<String>
        let reason: String
    }

    /// A module may import those of rows below its own, never its own row or one above. Row 0, the C modules, is granted
    /// one by one in `grants`.
    static let rows: [Int: Set<String>] = [
        6: ["sluice"],
        5: ["Gateway", "Worker", "Broker", "Bench", "Standalone", "Operate"],
        4: ["Store"],
        3: ["Redis", "Postgres", "Kafka", "Server"],
        2: ["HTTP1", "Wire", "Loop", "Pool"],
        1: ["Ledger", "Bytes", "Telemetry"],
    ]

    static let grants: [Grant] = [
        Grant(module: "CLibevent", users: ["Loop"], reason: "one C library each"),
        Grant(module: "CHiredis", users: ["Redis"], reason: "one C library each"),
        Grant(module: "CRedis", users: ["Redis"], reason: "hiredis' shim"),
        Grant(module: "CLibpq", users: ["Postgres"], reason: "one C library each"),
        Grant(module: "CPostgres", users: ["Postgres"], reason: "libpq's shim"),
        Grant(module: "CRdkafka", users: ["Kafka"], reason: "one C library each"),
        Grant(module: "CKafka", users: ["Kafka"], reason: "librdkafka's shim"),
        Grant(module: "CSimdJSON", users: ["Wire"], reason: "JSON is read in one place"),
        Grant(module: "CDigest", users: ["Bytes"], reason: "digests are made in one place"),
        Grant(module: "CBroker", users: ["Broker"], reason: "the embedded log's shim"),
        Grant(module: "CTLS", users: ["Bench"], reason: "only the load generator speaks TLS itself: nginx does it for the servers"),
        Grant(module: "CJemalloc", users: ["Telemetry", "sluice"], reason: "Telemetry reads its figures, the executable links it"),
        Grant(
            module: "CSystem",
            users: ["Telemetry", "Loop", "Kafka", "Gateway", "Worker", "Broker", "Bench", "Standalone", "Operate", "sluice"],
            reason: "system calls: never in what is pure"),
        Grant(
            module: "Glibc", users: ["Telemetry", "Loop", "Broker", "Bench", "Standalone", "Operate", "sluice"],
            reason: "system calls: never in what is pure"),
        Grant(
            module: "Glibc", users: ["Redis", "Postgres", "Kafka"],
            reason: "a wrapper meets its library's errno values, poll(2) where it blocks, and free(3)"),
        Grant(module: "Glibc", users: ["Gateway", "Worker"], reason: "a role's main thread names signals and ends the process"),
        Grant(
            module: "Foundation", users: ["Bench", "Standalone", "Operate", "sluice"],
            reason: "start-up, files and reports only: it allocates, and costs microseconds where we count nanoseconds"),
        Grant(module: "Histogram", users: ["Bench", "Operate"], reason: "who shows latencies of clients; never a hot path of ours"),
        Grant(module: "ArgumentParser", users: ["sluice"], reason: "options are the executable's"),
    ]

    /// Parts of the language's own library that anybody may import.
    static let standard: Set<String> = ["Swift", "Synchronization"]

    static var modules: Set<String> { rows.values.reduce(into: []) { $0.formUnion($1) } }

    static func row(of module: String) -> Int? { rows.first { $0.value.contains(module) }?.key }

    static func may(_ importer: String, import imported: String) -> Bool {
        if let above = row(of: importer), let below = row(of: imported) { return below < above }
        return standard.contains(imported) || grants.contains { $0.module == imported && $0.users.contains(importer) }
    }
}

/// Where the compiler's proof of thread safety is switched off, how often, and why nothing else would do.
struct ConcurrencyExemption {
    let path: String
    let construct: String
    let count: Int
    let reason: String

    static let all: [ConcurrencyExemption] = []
}
