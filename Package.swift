// swift-tools-version: 6.2
import PackageDescription

// The table of docs/architecture.md, "Who may import whom": each row may import rows below it,
// never its own row. `TidyTests` reads the sources and fails on any other import.

/// Every Swift target is built under the same rules.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableExperimentalFeature("Lifetimes"),
]

/// Below the roles. Overlapping access to a class's property is looked for at run time in debug builds only, where the tests run: the
/// checks are 7 % of a cached read. What the compiler can prove is an error in both. The roles lend spans of their classes' properties, which
/// the compiler allows only with the checks.
let serving = strict + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

let strictC: [CSetting] = [
    .treatAllWarnings(as: .error),
    .enableWarning("all"),
    .enableWarning("extra"),
    .enableWarning("conversion"),
]

let strictCXX: [CXXSetting] = [
    .treatAllWarnings(as: .error),
    .enableWarning("all"),
    .enableWarning("extra"),
]

/// A library the system provides, found through pkg-config where its flags allow that.
func library(_ name: String, pkgConfig: String? = nil, apt package: String) -> Target {
    .systemLibrary(name: name, path: "CShims/\(name)", pkgConfig: pkgConfig, providers: [.apt([package])])
}

/// C or C++ code of our own: what Swift's importer cannot do itself.
func shim(_ name: String, _ dependencies: [Target.Dependency] = [], links: [String] = []) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "CShims/\(name)",
        cSettings: strictC, cxxSettings: strictCXX,
        linkerSettings: links.map { .linkedLibrary($0) })
}

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(name)", swiftSettings: serving)
}

func role(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(name)", swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", exclude: exclude, swiftSettings: strict)
}

/// What several suites share: the servers they start, and tables.
func testSupport(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: strict)
}

let package = Package(
    name: "sluice",
    products: [.executable(name: "sluice", targets: ["sluice"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // CShims
        library("CLibevent", pkgConfig: "libevent_core", apt: "libevent-dev"),
        library("CHiredis", apt: "libhiredis-dev"),
        library("CLibpq", pkgConfig: "libpq", apt: "libpq-dev"),
        library("CRdkafka", pkgConfig: "rdkafka", apt: "librdkafka-dev"),
        library("CJemalloc", pkgConfig: "jemalloc", apt: "libjemalloc-dev"),
        shim("CSystem"),
        shim("CDigest", links: ["crypto"]),
        shim("CSimdJSON", links: ["simdjson"]),
        shim("CPostgres", ["CLibpq"]),
        shim("CRedis", ["CHiredis"]),
        shim("CKafka", ["CRdkafka"]),
        shim("CBroker"),
        shim("CTLS", links: ["ssl", "crypto"]),

        // No I/O: rules of money, bytes, counters
        module("Ledger"),
        module("Bytes", ["CDigest"]),
        module("Telemetry", ["CSystem", "CJemalloc"]),

        // HTTP, bodies as bytes, event loop, pooling
        module("HTTP1", ["Bytes"]),
        module("Wire", ["Ledger", "Bytes", "CSimdJSON"]),
        module("Loop", ["Bytes", "Telemetry", "CLibevent", "CSystem"]),
        module("Pool", ["Telemetry"]),

        // One C library each
        module("Redis", ["Loop", "Bytes", "Telemetry", "CHiredis", "CRedis"]),
        module("Postgres", ["Loop", "Pool", "Bytes", "Telemetry", "CLibpq", "CPostgres"]),
        module("Kafka", ["Loop", "Bytes", "Telemetry", "CRdkafka", "CKafka", "CSystem"]),

        // The server side of HTTP on a loop
        .target(
            name: "Server", dependencies: ["Loop", "HTTP1", "Bytes", "Telemetry"], path: "Sources/Server",
            resources: ["live.html", "live.css", "live.js"].map { .embedInCode("Live/\($0)") }, swiftSettings: serving),

        // What gateway and worker must agree on
        .target(
            name: "Store",
            dependencies: ["Redis", "Postgres", "Kafka", "Wire", "Loop", "Pool", "Ledger", "Bytes", "Telemetry"],
            path: "Sources/Store",
            // SQL/ and Lua/ are links into infra/: one file serves the executable and whoever reads it there.
            resources: [
                .embedInCode("SQL/001-ledger.sql"), .embedInCode("SQL/002-log-adoption.sql"), .embedInCode("SQL/003-life-cycle.sql"),
                .embedInCode("SQL/004-dead-letter-replay.sql"), .embedInCode("SQL/005-events.sql"),
                .embedInCode("SQL/006-key-scopes.sql"), .embedInCode("SQL/007-batches.sql"), .embedInCode("SQL/008-trace.sql"),
                .embedInCode("SQL/009-line.sql"), .embedInCode("Lua/sluice.lua"),
            ],
            swiftSettings: strict),

        // The roles
        role(
            "Gateway",
            ["Store", "Server", "Redis", "Postgres", "Kafka", "HTTP1", "Wire", "Loop", "Pool", "Ledger", "Bytes", "Telemetry", "CSystem"]),
        role(
            "Worker",
            ["Store", "Server", "Redis", "Postgres", "Kafka", "Wire", "Loop", "Pool", "Ledger", "Bytes", "Telemetry", "CSystem"]),
        role("Broker", ["Loop", "Bytes", "Telemetry", "CSystem", "CBroker"]),
        .target(
            name: "Bench",
            dependencies: [
                "Loop", "HTTP1", "Bytes", "Telemetry", "CSystem", "CTLS", .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            path: "Sources/Bench",
            // A link into loadtest/: the presets are files like everybody's.
            resources: ["steady", "settle", "black-friday", "hot-merchant", "flash-crash-recovery", "capacity"].map {
                .embedInCode("Presets/\($0).json")
            },
            swiftSettings: strict),
        role("Standalone", ["Loop", "Bytes", "Telemetry", "CSystem"]),
        role(
            "Operate",
            [
                "Store", "Redis", "Postgres", "Kafka", "HTTP1", "Wire", "Loop", "Pool", "Ledger", "Bytes", "Telemetry", "CSystem",
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ]),

        .executableTarget(
            name: "sluice",
            dependencies: [
                "Gateway", "Worker", "Broker", "Bench", "Standalone", "Operate", "Redis", "Postgres", "Kafka", "Loop", "Telemetry",
                "CJemalloc",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/sluice", swiftSettings: strict),

        // Tests
        testSupport("TestSupport", ["Postgres", "Redis", "Kafka", "HTTP1", "Loop", "CSystem"]),
        tests("TidyTests", []),
        tests("LedgerTests", ["Ledger"]),
        tests("BytesTests", ["Bytes"]),
        tests("TelemetryTests", ["Telemetry"]),
        tests("HTTP1Tests", ["TestSupport", "HTTP1", "Bytes", "CSystem"]),
        tests("WireTests", ["Wire", "Ledger", "Bytes"]),
        tests("LoopTests", ["Loop", "Telemetry"]),
        tests("PoolTests", ["Pool"]),
        tests("RedisTests", ["TestSupport", "Redis", "Loop", "Bytes", "Telemetry"]),
        tests("PostgresTests", ["TestSupport", "Postgres", "Loop", "Pool", "Bytes", "Telemetry"]),
        tests("KafkaTests", ["TestSupport", "Kafka", "Loop", "Bytes", "Telemetry", "CRdkafka", "CSystem"]),
        tests("ServerTests", ["Server", "Telemetry", "Loop", "HTTP1", "Bytes"]),
        tests("StoreTests", ["Store", "Redis", "Postgres", "Kafka", "Wire", "Loop", "Ledger", "Bytes"]),
        tests("GatewayTests", ["Gateway", "Store", "Loop", "HTTP1", "Wire", "Ledger", "Bytes", "Telemetry"]),
        tests("WorkerTests", ["Worker", "Store", "Redis", "Kafka", "Wire", "Loop", "Ledger", "Bytes", "Telemetry"]),
        tests(
            "OperateTests",
            [
                "TestSupport", "Operate", "Gateway", "Store", "Redis", "Postgres", "Kafka", "HTTP1", "Wire", "Loop", "Ledger", "Bytes",
                "CSystem",
            ]),
        tests(
            "CoherenceTests",
            ["TestSupport", "Gateway", "Server", "Store", "Redis", "Loop", "Ledger", "Bytes", "Telemetry"]),
        tests("BrokerTests", ["Broker", "Loop", "Bytes", "CSystem", "CBroker"], exclude: ["Harness"]),
        tests("BenchTests", ["Bench", "Server", "Loop", "HTTP1", "Bytes", "Telemetry"]),
        tests("StandaloneTests", ["Standalone"]),
        tests("IntegrationTests", ["TestSupport", "HTTP1", "Bytes", "CSystem"]),
    ],
    cLanguageStandard: .c17,
    cxxLanguageStandard: .cxx17
)
