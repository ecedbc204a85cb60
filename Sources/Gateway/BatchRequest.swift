internal import Bytes
internal import HTTP1
internal import Server
internal import Wire

/// A batch that is answered: its items' answers in the order of its items, sent once the last of them is there.
final class BatchRequest {
    private struct Result {
        let status: Status
        let isReplayed: Bool
        let body: [UInt8]
    }

    let ticket: RequestTicket
    private var results: [Result?]
    private var unanswered: Int

    /// - Parameter count: its items, at least one.
    init(ticket: RequestTicket, count: Int) {
        self.ticket = ticket
        results = Array(repeating: nil, count: count)
        unanswered = count
    }

    /// What a request of its own would have been answered. Each item is answered once.
    /// - Returns: whether it was the last.
    func answer(_ index: Int, _ answer: Answer, body: [UInt8]) -> Bool {
        precondition(results[index] == nil, "an item of a batch was answered twice")
        results[index] = Result(status: answer.status, isReplayed: answer.isReplayed, body: body)
        unanswered -= 1
        return unanswered == 0
    }

    /// Appends the body of the whole answer.
    func append(to body: inout [UInt8]) {
        body.append("{\"results\":[")
        for (index, result) in results.enumerated() {
            guard let result else { preconditionFailure("a batch is answered before its last item") }
            body.append(index == 0 ? "{\"status\":" : ",{\"status\":")
            body.append(decimal: UInt64(result.status.rawValue))
            if result.isReplayed { body.append(",\"replayed\":true") }
            body.append(",\"body\":")
            body.append(contentsOf: result.body)
            body.append(UInt8(ascii: "}"))
        }
        body.append("]}")
    }
}
