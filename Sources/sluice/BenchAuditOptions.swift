import ArgumentParser
import Bench
import Operate

/// `--audit` and where to look.
struct BenchAuditOptions: ParsableArguments {
    @Flag(help: "Wait until all is decided, then check every accepted payment, the ledger, the log and Redis.") var audit = false
    @Option(help: ArgumentHelp("How long all that was accepted may take to be decided.", valueName: "seconds")) var drain = 120.0
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var kafka: KafkaOptions
    @OptionGroup var redis: RedisOptions

    /// Nil without `--audit`. Settings are read before the load: a run whose audit cannot start would be lost.
    func auditor() throws(SettingError) -> Auditor? {
        guard audit else { return nil }
        guard drain >= 0, drain <= 86_400 else { throw SettingError("drain", "use 0 to 86400") }
        var auditor = Auditor(database: try database.configuration(applicationName: "sluice-bench"))
        auditor.kafka = try kafka.configuration(clientID: "sluice-bench")
        auditor.redis = try redis.configuration()
        return auditor
    }

    /// Waits and looks.
    func verdict(_ auditor: Auditor, _ report: LoadReport) -> BenchVerdict {
        var auditor = auditor
        var acknowledged = AcknowledgedPayments()
        for id in report.acknowledged { acknowledged.append(high: id.high, low: id.low) }
        auditor.acknowledged = acknowledged
        var drained = 0.0
        do throws(OperateError) {
            if let kafka = auditor.kafka {
                let result = try Drain.run(auditor, kafka: kafka, waitSeconds: drain)
                drained = result.seconds
                if result.remaining > 0 {
                    return BenchVerdict(
                        word: .unknown, sentence: "\(result.remaining) commands were not decided after \(drain) s",
                        drainSeconds: drained)
                }
            }
            return Self.verdict(try auditor.run(), acknowledged.count, report.acknowledgedNotKept, drained)
        } catch {
            return BenchVerdict(word: .unknown, sentence: "the audit could not look: \(error)", drainSeconds: drained)
        }
    }

    private static func verdict(_ audit: AuditReport, _ acknowledged: Int, _ notKept: Int, _ drained: Double) -> BenchVerdict {
        let checks = audit.checks.map { check in
            BenchVerdict.Check(
                name: check.name, claim: check.claim, looked: check.looked, findings: check.findings,
                shown: check.first.map { "\($0.subject): \($0.problem)" })
        }
        var sentence = "\(acknowledged) accepted payments have one outcome each, the ledger is conserved, the log and Redis agree"
        if !audit.isClean {
            let notes = audit.checks.filter { $0.findings > 0 }.flatMap(\.notes)
            sentence = (["\(checks.reduce(0) { $0 + $1.findings }) findings"] + notes).joined(separator: "; ")
        }
        if notKept > 0 { sentence += "; \(notKept) further payments were not looked for" }
        sentence += " (all decided \(Int((drained * 1_000).rounded())) ms after the last answer)"
        return BenchVerdict(word: audit.isClean ? .clean : .wrong, sentence: sentence, drainSeconds: drained, checks: checks)
    }
}
