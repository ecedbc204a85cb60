internal import CSystem
internal import Foundation
internal import Glibc

/// What the operating system of this machine gives a gateway.
struct SystemFacts: Sendable {
    var descriptors: UInt64 = 0
    var backlog = 0
    /// `always`, `madvise` or `never`; nil where there is none.
    var hugePages: String?
    var overcommit = 0
    /// Nil when the kernel does not tell.
    var isClockSynchronised: Bool?
    var clockErrorMicroseconds: Int64 = 0

    static func read() -> SystemFacts {
        var facts = SystemFacts()
        var limit = rlimit()
        if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 { facts.descriptors = UInt64(limit.rlim_max) }
        facts.backlog = number("/proc/sys/net/core/somaxconn")
        facts.overcommit = number("/proc/sys/vm/overcommit_memory")
        if let text = try? String(contentsOfFile: "/sys/kernel/mm/transparent_hugepage/enabled", encoding: .utf8),
            let open = text.firstIndex(of: "["), let close = text.firstIndex(of: "]")
        {
            facts.hugePages = String(text[text.index(after: open)..<close])
        }
        var error: Int64 = 0
        let code = unsafe sluice_clock_synchronised(&error)
        if code >= 0 { facts.isClockSynchronised = code == 1 }
        facts.clockErrorMicroseconds = error
        return facts
    }

    private static func number(_ path: String) -> Int {
        (try? String(contentsOfFile: path, encoding: .utf8)).flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) } ?? 0
    }
}

/// What a machine must give. Pure.
struct SystemRules {
    /// A gateway's default connections, and what else it opens.
    static let descriptorsMin: UInt64 = 21_000
    /// What a listener asks for.
    static let backlogMin = 4_096
    static let clockErrorMicrosecondsMax: Int64 = 500_000

    let facts: SystemFacts

    func judge(into report: inout DoctorReport) {
        report.judge(
            "system.descriptors", facts.descriptors >= Self.descriptorsMin, level: facts.descriptors < 1_024 ? .failure : .warning,
            seen: "\(facts.descriptors) open files at most", risk: "a gateway takes fewer connections than its limit says",
            mend: "LimitNOFILE=65536 in the unit, or ulimit -Hn")
        report.judge(
            "system.backlog", facts.backlog >= Self.backlogMin, level: .warning, seen: "net.core.somaxconn = \(facts.backlog)",
            risk: "in a peak connections are refused that only had to wait", mend: "net.core.somaxconn = 4096")
        report.judge(
            "system.memory", facts.overcommit != 2, level: .warning, seen: "vm.overcommit_memory = \(facts.overcommit)",
            risk: "a process that asks for room in a peak is refused it and ends", mend: "vm.overcommit_memory = 0 (1 where Redis saves)")
        if let hugePages = facts.hugePages {
            report.judge(
                "system.huge-pages", hugePages != "always", level: .warning, seen: "transparent huge pages: \(hugePages)",
                risk: "Redis and the gateways stand still for milliseconds at a time, and take more memory",
                mend: "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, at each start")
        }
        report.judge(
            "system.clock", facts.isClockSynchronised == true && facts.clockErrorMicroseconds <= Self.clockErrorMicrosecondsMax,
            level: .warning,
            seen: facts.isClockSynchronised.map {
                $0 ? "the clock is synchronised (± \(facts.clockErrorMicroseconds / 1_000) ms)" : "the clock is not synchronised"
            } ?? "the kernel does not tell whether the clock is synchronised",
            risk: "payments expire early or late", mend: "chrony or systemd-timesyncd, here or on the host")
    }
}
