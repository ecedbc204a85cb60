internal import Bytes

/// Writes the requests of one thread.
struct RequestMaker {
    private let reads: Int
    private let total: Int
    private let accounts: AccountSet
    private let picker: AccountPicker
    private let pathPrefix: String
    private let currency: String
    /// Host, credentials and the agent's name, with their line ends.
    private let fields: [UInt8]
    private let keyPrefix: String
    private var keysUsed: UInt64 = 0

    /// - Parameter keyPrefix: no other run's and no other thread's.
    init(_ options: LoadOptions, keyPrefix: String) {
        reads = options.reads
        total = options.reads + options.writes
        accounts = options.accounts
        picker = AccountPicker(count: options.accounts.count, options.popularity)
        pathPrefix = options.target.pathPrefix
        currency = options.currency
        self.keyPrefix = keyPrefix
        var fields: [UInt8] = []
        fields.append(text: "Host: \(options.target.host)\r\n")
        if let key = options.key { fields.append(text: "Authorization: Bearer \(key)\r\n") }
        fields.append("User-Agent: sluice-bench\r\n")
        self.fields = fields
    }

    /// Appends one request, drawn by the mix: a balance's read, or a payment under a key that was never used.
    mutating func write(to output: inout [UInt8], _ chance: inout Chance) -> RequestKind {
        guard Int.random(in: 0..<total, using: &chance) >= reads else {
            output.append(text: "GET \(pathPrefix)/v1/accounts/\(accounts.name(picker.pick(&chance)))/balance HTTP/1.1\r\n")
            output.append(contentsOf: fields)
            output.append("\r\n")
            return .read
        }
        let (debit, credit) = picker.pickPair(&chance)
        let amount = Int.random(in: 1...100, using: &chance)
        let body =
            "{\"debit\":\"\(accounts.name(debit))\",\"credit\":\"\(accounts.name(credit))\",\"amount\":\(amount),\"currency\":\"\(currency)\"}"
        output.append(text: "POST \(pathPrefix)/v1/payments HTTP/1.1\r\n")
        output.append(contentsOf: fields)
        output.append(text: "Content-Type: application/json\r\nIdempotency-Key: \(keyPrefix)")
        output.append(decimal: keysUsed)
        keysUsed += 1
        output.append("\r\nContent-Length: ")
        output.append(decimal: UInt64(body.utf8.count))
        output.append("\r\n\r\n")
        output.append(text: body)
        return .write
    }
}

enum RequestKind: Sendable {
    case read
    case write
}
