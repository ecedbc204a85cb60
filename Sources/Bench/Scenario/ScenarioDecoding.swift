/// Reads the members of an object and refuses those that nobody knows: a misspelt one would silently be a default.
private struct Members {
    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private let container: KeyedDecodingContainer<Name>

    init(_ decoder: any Decoder, known: Set<String>) throws {
        container = try decoder.container(keyedBy: Name.self)
        if let unknown = container.allKeys.map(\.stringValue).sorted().first(where: { !known.contains($0) }) {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription: "`\(unknown)` is no member of it: use some of \(known.sorted().joined(separator: ", "))"))
        }
    }

    func read<Value: Decodable>(_ name: String, as type: Value.Type = Value.self) throws -> Value? {
        try container.decodeIfPresent(Value.self, forKey: Name(stringValue: name))
    }

    func read<Value: Decodable>(_ name: String, absent: Value) throws -> Value { try read(name) ?? absent }
}

extension Scenario: Decodable {
    public init(from decoder: any Decoder) throws {
        let members = try Members(
            decoder,
            known: [
                "name", "summary", "rate", "closed", "arrivals", "connections", "threads", "mix", "reads", "accounts", "zipf", "hot",
                "duplicates", "wait", "follow", "retries", "timeout_seconds", "phases", "search",
            ])
        name = try members.read("name", absent: "bench")
        summary = try members.read("summary")
        rate = try members.read("rate")
        isClosed = try members.read("closed")
        if let text = try members.read("arrivals", as: String.self) {
            guard let arrivals = LoadOptions.Arrivals(rawValue: text) else {
                throw DecodingError.dataCorrupted(
                    .init(codingPath: decoder.codingPath, debugDescription: "`arrivals`: use constant or poisson"))
            }
            self.arrivals = arrivals
        }
        connections = try members.read("connections")
        threads = try members.read("threads")
        mix = try members.read("mix")
        reads = try members.read("reads")
        accounts = try members.read("accounts")
        zipf = try members.read("zipf")
        hot = try members.read("hot")
        duplicates = try members.read("duplicates")
        wait = try members.read("wait")
        follow = try members.read("follow")
        retries = try members.read("retries")
        timeoutSeconds = try members.read("timeout_seconds")
        phases = try members.read("phases", as: [ScenarioPhase].self)?.enumerated().map { $0.element.phase(number: $0.offset + 1) }
        search = try members.read("search")
    }
}

/// A phase as a file has it: `level` for one that is held, `from` and `to` for a ramp, in multiples of `rate`.
private struct ScenarioPhase: Decodable {
    let name: String?
    let seconds: Double
    let level: Double?
    let from: Double?
    let to: Double?
    let isWarmUp: Bool

    init(from decoder: any Decoder) throws {
        let members = try Members(decoder, known: ["name", "seconds", "level", "from", "to", "warm_up"])
        func refuse(_ text: String) -> DecodingError {
            .dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: text))
        }
        name = try members.read("name")
        guard let seconds: Double = try members.read("seconds") else { throw refuse("`seconds` is missing") }
        self.seconds = seconds
        level = try members.read("level")
        from = try members.read("from")
        to = try members.read("to")
        isWarmUp = try members.read("warm_up", absent: false)
        if level != nil ? (from != nil || to != nil) : (from == nil) != (to == nil) { throw refuse("use `level`, or `from` and `to`") }
    }

    func phase(number: Int) -> LoadPhase {
        LoadPhase(
            name ?? "phase \(number)", seconds: seconds, from: level ?? from ?? 1, to: level ?? to ?? 1, isWarmUp: isWarmUp)
    }
}

extension Scenario.Search {
    public init(from decoder: any Decoder) throws {
        let members = try Members(
            decoder,
            known: [
                "start", "growth", "step_seconds", "pause_seconds", "p99_ms", "failed_share", "achieved_share", "precision", "steps",
            ])
        self.init()
        startPerSecond = try members.read("start", absent: startPerSecond)
        growth = try members.read("growth", absent: growth)
        stepSeconds = try members.read("step_seconds", absent: stepSeconds)
        pauseSeconds = try members.read("pause_seconds", absent: pauseSeconds)
        p99Milliseconds = try members.read("p99_ms", absent: p99Milliseconds)
        failedShareMax = try members.read("failed_share", absent: failedShareMax)
        achievedShareMin = try members.read("achieved_share", absent: achievedShareMin)
        precision = try members.read("precision", absent: precision)
        stepsMax = try members.read("steps", absent: stepsMax)
    }
}
