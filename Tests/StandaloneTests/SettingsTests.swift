import Foundation
import Glibc
import Testing

@testable import Standalone

/// Settings as the executable reads them: `--check-config`, files, secrets, and docs/settings.md.
@Suite struct SettingsTests {
    private struct Row: Equatable {
        let variable: String
        let flag: String
        let value: String
        let source: String
        let allowed: String
    }

    /// What a gateway and a worker cannot do without; the broker's own.
    private static let least = [
        "SLUICE_KAFKA=127.0.0.1:1", "SLUICE_DATABASE=host=/nowhere dbname=x", "SLUICE_REDIS=unix:/nowhere/redis",
        "SLUICE_ADMIN=127.0.0.1:0",
        "SLUICE_LISTEN=127.0.0.1:0", "SLUICE_THREADS=1", "SLUICE_BROKER_DATA=/nowhere/data",
    ]

    /// - Parameter environment: nothing else of the caller's is passed on.
    private func start(
        _ role: String, _ environment: [String] = Self.least, _ arguments: [String] = []
    ) async throws -> (code: Int32, output: String) {
        let sluice = try ExecutableTests.sluice()
        return try await onThread { try run("/usr/bin/timeout", ["30", "/usr/bin/env", "-i"] + environment + [sluice, role] + arguments) }
    }

    private func rows(_ output: String) -> [Row] {
        output.split(separator: "\n").dropFirst().compactMap { line in
            let cells = line.components(separatedBy: "  ").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
            guard cells.count == 5 else { return nil }
            return Row(variable: cells[0], flag: cells[1], value: cells[2], source: cells[3], allowed: cells[4])
        }
    }

    @Test(arguments: ["gateway", "worker", "broker"])
    func `the page on settings has what the code reads, and nothing else`(role: String) async throws {
        let checked = try await start(role, Self.least, ["--check-config"])
        try #require(checked.code == 0, "\(checked.output)")
        let rows = rows(checked.output).filter { $0.variable.hasPrefix("SLUICE_") }
        let page = try String(contentsOfFile: sourceFolder + "/docs/settings.md", encoding: .utf8)
        let section = try #require(page.components(separatedBy: "\n## ").first { $0.lowercased().hasPrefix(role) })
        let documented = section.split(separator: "\n").filter { $0.hasPrefix("| `SLUICE_") }.map { line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " `")) }
        }
        #expect(documented.map { $0[0] } == rows.map(\.variable))
        for (cells, row) in zip(documented, rows) {
            #expect(cells[3] == row.allowed, "\(row.variable)")
            #expect(cells[1] == (row.flag == "-" ? "none" : row.flag), "\(row.variable)")
            if row.source == "default" { #expect(cells[2] == row.value, "\(row.variable)") }
            if cells[2] == "required" { #expect(row.source == "environment", "\(row.variable)") }
        }
    }

    @Test func `the command line goes before the environment, a file of its own, the settings file, and the default`() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/sluice-settings-\(UInt32.random(in: 0...UInt32.max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try "five\n".write(toFile: folder + "/name", atomically: false, encoding: .utf8)
        let common = """
            # of all roles
            SLUICE_NAME='six'
            SLUICE_NEAR_KIB=4096
            SLUICE_REDIS_PASSWORD="hidden words"
            """
        try common.write(toFile: folder + "/settings", atomically: false, encoding: .utf8)
        func name(_ environment: [String], _ arguments: [String] = []) async throws -> (value: String, source: String) {
            let output = try await start("gateway", Self.least + environment, ["--check-config"] + arguments).output
            let row = try #require(rows(output).first { $0.variable == "SLUICE_NAME" }, "\(output)")
            return (row.value, row.source)
        }
        let settings = "SLUICE_SETTINGS=\(folder)/settings"
        let file = "SLUICE_NAME_FILE=\(folder)/name"
        #expect(try await name([]) == ("gateway-1", "default"))
        #expect(try await name([settings]) == ("six", folder + "/settings"))
        #expect(try await name([settings, file]) == ("five", folder + "/name"))
        #expect(try await name([settings, file, "SLUICE_NAME=four"]) == ("four", "environment"))
        #expect(try await name([settings, file, "SLUICE_NAME=four"], ["--name", "three"]) == ("three", "flag"))
        let missing = try await start("gateway", Self.least + ["SLUICE_NAME_FILE=\(folder)/none"], ["--check-config"])
        #expect(missing.code == 2 && missing.output.contains("the file \(folder)/none cannot be read"))

        let whole = try await start("gateway", Self.least + [settings], ["--check-config"]).output
        #expect(rows(whole).contains { $0.variable == "SLUICE_REDIS_PASSWORD" && $0.value == "set" })
        #expect(!whole.contains("hidden"))
        #expect(rows(whole).contains { $0.variable == "SLUICE_NEAR_KIB" && $0.value == "4096" })
    }

    @Test func `secrets are shown as set, and refused on the command line`() async throws {
        let secret = "hunter2sesame"
        let environment =
            Self.least + [
                "SLUICE_DATABASE=host=/nowhere password=\(secret)", "SLUICE_REPLICAS=host=/a password=\(secret);host=/b",
                "SLUICE_KAFKA_SETTINGS=security.protocol=SASL_SSL;sasl.password=\(secret)", "SLUICE_REDIS_PASSWORD=\(secret)",
            ]
        let checked = try await start("gateway", environment, ["--check-config"])
        #expect(checked.code == 0)
        #expect(!checked.output.contains(secret))
        let database = rows(checked.output).first { $0.variable == "SLUICE_DATABASE" }?.value
        #expect(database?.contains("host=/nowhere") == true && database?.contains("password=set") == true, "\(database ?? "-")")
        #expect(checked.output.contains("security.protocol=SASL_SSL;sasl.password=set"))
        for arguments in [
            ["--database", "host=/nowhere password=\(secret)"], ["--replicas", "host=/a;host=/b password=\(secret)"],
            ["--kafka-settings", "sasl.password=\(secret)"],
        ] {
            let refused = try await start("gateway", Self.least, ["--check-config"] + arguments)
            #expect(refused.code == 2 && refused.output.contains("everybody on this machine can read an argument list"), "\(refused)")
            #expect(!refused.output.contains(secret))
        }
        // libpq would quote these in its complaint.
        for wrong in ["host=/nowhere password=my \(secret) word", "postgresql://u:\(secret)%zz@h/db", "postgresql://u:\(secret)@[::1]x/db"]
        {
            let refused = try await start("gateway", Self.least + ["SLUICE_DATABASE=\(wrong)"], ["--check-config"])
            #expect(refused.code == 2 && refused.output.contains("SLUICE_DATABASE"), "\(refused)")
            #expect(!refused.output.contains(secret), "\(refused)")
        }
    }

    @Test(arguments: [
        ("gateway", "SLUICE_THREADS=65", "SLUICE_THREADS (--threads): '65' is not allowed: use 1 to 64"),
        ("gateway", "SLUICE_ROLE=some", "'some' is not allowed: use payments, inquiries, all"),
        ("gateway", "SLUICE_LIMITS=connections=0", "is not allowed for connections"),
        ("worker", "SLUICE_ADMIN=nowhere", "SLUICE_ADMIN (--admin): 'nowhere' is not allowed"),
        ("worker", "SLUICE_KAFKA=", "SLUICE_KAFKA (--kafka): missing"),
        ("broker", "SLUICE_BROKER_FLUSH=never", "SLUICE_BROKER_FLUSH (--flush): 'never' is not allowed: use always or interval"),
        ("broker", "SLUICE_BROKER_LISTEN=unix:/x", "SLUICE_BROKER_LISTEN (--listen)"),
    ])
    func `a setting that cannot be used is named with what is allowed`(role: String, setting: String, sentence: String) async throws {
        let refused = try await start(role, Self.least + [setting], ["--check-config"])
        #expect(refused.code == 2 && refused.output.contains(sentence), "\(refused)")
    }

    /// A release build reads no such variable; tests run with a debug build.
    @Test func `a process says at its start that guards are switched off`() async throws {
        let warning = "guards of the money are switched off"
        let off = try await start("worker", Self.least + ["SLUICE_SAFETY_OFF=offsets,ids"], ["--check-config"])
        #expect(off.code == 0 && off.output.contains(warning) && off.output.contains("\"SLUICE_SAFETY_OFF\":\"ids,offsets\""), "\(off)")
        let on = try await start("worker", Self.least, ["--check-config"])
        #expect(on.code == 0 && !on.output.contains(warning), "\(on)")
    }

    @Test func `an option that a table names is one that the role takes`() async throws {
        for role in ["gateway", "worker", "broker"] {
            let help = try await start(role, Self.least, (role == "broker" ? ["run"] : []) + ["--help"]).output
            for row in rows(try await start(role, Self.least, ["--check-config"]).output) where row.flag != "-" {
                #expect(help.contains(row.flag + " "), "\(role) \(row.flag)")
            }
        }
    }

    @Test func `a start on a port or a folder that is taken names who has it`() async throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var on: Int32 = 1
        // As the threads of a gateway share theirs: without asking first, a second process would share it as well.
        _ = unsafe setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, 4)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(listener, pointer, length) == 0 && getsockname(listener, pointer, &length) == 0 && listen(listener, 8) == 0
            }
        }
        try #require(isBound)
        let port = UInt16(bigEndian: address.sin_port)
        let us = "(pid \(getpid())) listens there"
        let gateway = try await start("gateway", Self.least + ["SLUICE_LISTEN=127.0.0.1:\(port)", "SLUICE_THREADS=2"])
        #expect(gateway.code == 2 && gateway.output.contains("Address already in use") && gateway.output.contains(us), "\(gateway)")
        let worker = try await start("worker", Self.least + ["SLUICE_ADMIN=127.0.0.1:\(port)"])
        #expect(worker.code != 0 && worker.output.contains(us), "\(worker)")

        let folder = FileManager.default.temporaryDirectory.path + "/sluice-taken-\(UInt32.random(in: 0...UInt32.max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let lock = unsafe open(folder + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        defer { close(lock) }
        try #require(flock(lock, LOCK_EX) == 0)
        let broker = try await start("broker", ["SLUICE_BROKER_DATA=\(folder)", "SLUICE_BROKER_LISTEN=127.0.0.1:0"])
        #expect(broker.code == 1 && broker.output.contains("is in use by") && broker.output.contains("(pid \(getpid()))"), "\(broker)")
    }
}
