internal import Foundation
internal import Histogram
internal import Loop

extension LoadReport {
    private static let reads: [RequestKind] = [.balance, .status, .transactions]
    private static let writes: [RequestKind] = [.payment, .waitingPayment, .duplicate]

    init(_ options: LoadOptions, _ counts: LoadCounts, cpuSeconds: Double, startedMicroseconds: Int64) {
        name = options.name
        startedAt = Date(timeIntervalSince1970: Double(startedMicroseconds) / 1e6).ISO8601Format()
        seconds = options.seconds
        switch options.pace {
        case .closed: mode = "closed"
        case .open(let perSecond, let arrivals):
            mode = "open"
            self.arrivals = arrivals.rawValue
            askedPerSecond = perSecond * options.phases.reduce(0) { $0 + ($1.from + $1.to) / 2 * $1.seconds } / seconds
        }
        connections = options.connections
        threads = options.threads
        seed = options.seed
        settings = options.described
        let elapsed = Double(Swift.max(counts.elapsedNanoseconds, 1)) / 1e9
        achievedPerSecond = Double(counts.answered) / elapsed
        sent = counts.sent
        answered = counts.answered
        declined = counts.declined
        retries = counts.retries
        gaveUp = counts.gaveUp
        acceptedLater = counts.acceptedLater
        duplicatesWrong = counts.duplicatesWrong
        late = counts.late
        latestMilliseconds = Double(counts.latestNanoseconds) / 1e6
        dropped = counts.dropped
        warmUps = counts.warmUps
        readTriesFailed = counts.readTriesFailed
        stoppedEarly = counts.stoppedEarly
        errors = Dictionary(counts.failures.map { ($0.key.description, $0.value) }, uniquingKeysWith: +)
        statuses = Dictionary(uniqueKeysWithValues: counts.statuses.map { (String($0.key), $0.value) })
        closedIdle = counts.closedIdle
        generatorCPUSeconds = cpuSeconds
        all = Latency(counts.all)
        reads = Latency(counts.latency(of: Self.reads))
        writes = Latency(counts.latency(of: Self.writes))
        refused = Latency(counts.refused)
        kinds = RequestKind.allCases.compactMap { kind in
            guard let latency = Latency(counts.latency[kind.rawValue]), let service = Latency(counts.service[kind.rawValue]) else {
                return nil
            }
            return Kind(name: kind.name, latency: latency, service: service)
        }
        timeToFinal = Latency(counts.settling)
        notFollowed = counts.notFollowed
        neverFinal = counts.neverFinal
        phases = Self.phases(options, counts)
        intervalSeconds = counts.series.intervalSeconds
        series = Self.series(counts.series)
        let groups: [(name: String, histogram: Histogram<UInt64>)] = [
            ("reads", counts.latency(of: Self.reads)), ("writes", counts.latency(of: Self.writes)),
            ("reads, service time", counts.service(of: Self.reads)), ("writes, service time", counts.service(of: Self.writes)),
            ("time to final", counts.settling),
        ].filter { $0.histogram.totalCount > 0 }
        curves = groups.map { Curve(name: $0.name, points: Self.curve($0.histogram)) }
        histograms =
            [("all", counts.all)].filter { $0.1.totalCount > 0 } + groups
            + RequestKind.allCases.compactMap { kind in
                let histogram = counts.latency[kind.rawValue]
                return histogram.totalCount > 0 ? (kind.name, histogram) : nil
            }
        generator = Self.generator(options, counts, cpuSeconds)
        environment = .current()
        acknowledged = counts.acknowledged
        acknowledgedNotKept = counts.acknowledgedNotKept
    }

    private static func phases(_ options: LoadOptions, _ counts: LoadCounts) -> [Phase] {
        var start = 0.0
        return options.phases.enumerated().map { index, phase in
            defer { start += phase.seconds }
            var rate: Double?
            if case .open(let perSecond, _) = options.pace { rate = perSecond }
            return Phase(
                name: phase.name, startSecond: start, seconds: phase.seconds, from: rate.map { $0 * phase.from },
                to: rate.map { $0 * phase.to }, isWarmUp: phase.isWarmUp, latency: Latency(counts.phases[index].all),
                reads: Latency(counts.phases[index].reads), writes: Latency(counts.phases[index].writes))
        }
    }

    private static func series(_ series: LoadSeries) -> [Point] {
        series.intervals.enumerated().map { index, interval in
            var point = Point(second: Double(index) * series.intervalSeconds, succeeded: interval.succeeded, failed: interval.failed)
            if let latency = interval.latency {
                point.p50 = Double(latency.valueAtPercentile(50)) / 1e3
                point.p99 = Double(latency.valueAtPercentile(99)) / 1e3
                point.max = Double(latency.max) / 1e3
            }
            return point
        }
    }

    private static func curve(_ histogram: Histogram<UInt64>) -> [[Double]] {
        histogram.percentiles(ticksPerHalfDistance: 4).map { [$0.percentileLevelIteratedTo, Double($0.value) / 1e6] }
    }

    private static func generator(_ options: LoadOptions, _ counts: LoadCounts, _ cpuSeconds: Double) -> Generator {
        Generator(
            cpuSeconds: cpuSeconds, cpuMicrosecondsPerRequest: cpuSeconds * 1e6 / Double(Swift.max(1, counts.sent + counts.retries)),
            busiestThreadShare: counts.busiestThreadShare, lateByItself: counts.lateByItself,
            latestByItself: Double(counts.latestByItselfNanoseconds) / 1e6,
            warnings: GeneratorWarnings.sentences(options, counts), isLimit: GeneratorWarnings.isLimit(counts))
    }
}

/// What a reader of the figures must know of the generator before believing them.
enum GeneratorWarnings {
    /// A thread that computes so much of its time has no time left to be on time.
    static let busyShareMax = 0.85
    /// The share of sends that may be late by the generator's fault.
    static let lateShareMax = 0.01

    static func isLimit(_ counts: LoadCounts) -> Bool { counts.busiestThreadShare > busyShareMax || ownLateShare(counts) > lateShareMax }

    private static func ownLateShare(_ counts: LoadCounts) -> Double { Double(counts.lateByItself) / Double(max(1, counts.sent)) }

    static func sentences(_ options: LoadOptions, _ counts: LoadCounts) -> [String] {
        var sentences: [String] = []
        func percent(_ share: Double) -> String { String(format: "%.1f %%", share * 100) }
        if counts.busiestThreadShare > busyShareMax {
            sentences.append(
                "THE GENERATOR IS THE BOTTLENECK: its busiest thread computed for \(percent(counts.busiestThreadShare)) of the time. "
                    + (options.mode == .closed ? "The capacity found is its own. " : "") + "Use more --threads, or another machine.")
        }
        let own = ownLateShare(counts)
        if own > lateShareMax {
            let latest = String(format: "%.1f", Double(counts.latestByItselfNanoseconds) / 1e6)
            sentences.append(
                "THE GENERATOR WAS LATE BY ITSELF for \(percent(own)) of all sends, up to \(latest) ms, with connections free: "
                    + "it had to wait for a processor. The latencies include that. Use more --threads, or another machine.")
        }
        let starved = Double(counts.late - counts.lateByItself + counts.dropped) / Double(max(1, counts.sent + counts.dropped))
        if options.mode == .open, starved > lateShareMax {
            sentences.append(
                "\(percent(starved)) of all requests waited because all \(options.connections) connections were busy, or were dropped: "
                    + "the server fell behind, or the connections are too few for this rate. The latencies include the wait.")
        }
        if counts.acknowledgedNotKept > 0 {
            sentences.append("\(counts.acknowledgedNotKept) accepted payments were too many to remember: the audit does not look for them.")
        }
        if counts.notFollowed > 0 {
            sentences.append(
                "\(counts.notFollowed) payments were not followed, because \(BenchLimits.followedMax) others on their thread were: "
                    + "the time to final is too good.")
        }
        return sentences
    }
}

extension LoadOptions {
    enum Mode { case open, closed }
    var mode: Mode { pace == .closed ? .closed : .open }

    /// The settings that a report shows beside those it has members for.
    var described: [String: String] {
        var described = [
            "target": target.addresses.prefix(4).map(\.description).joined(separator: ", ")
                + (target.addresses.count > 4 ? " and \(target.addresses.count - 4) more" : ""),
            "tls": target.security == nil ? "no" : (target.security?.isVerified == true ? "yes" : "yes, certificate not checked"),
            "mix": "\(mix.reads):\(mix.writes)", "reads": "\(mix.balances):\(mix.statuses):\(mix.transactions)",
            "accounts": "\(accounts.count)", "duplicates": "\(duplicateShare)", "wait": "\(waitShare)", "follow": "\(followShare)",
            "retries": "\(retriesMax)", "timeout_seconds": "\(timeoutSeconds)",
        ]
        switch popularity {
        case .uniform: described["popularity"] = "uniform"
        case .zipf(let exponent): described["popularity"] = "zipf \(exponent)"
        case .hot(let share): described["popularity"] = "hot \(share)"
        }
        return described
    }
}
