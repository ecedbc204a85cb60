/// Matches a connection's results to what was sent, in order: each segment ends with a synchronisation, is one implicit
/// transaction, and is answered exactly once. No I/O.
struct Pipeline<Ticket, Answer> {
    /// What one `PQgetResult` came to; the nulls between results carry no news.
    enum Event {
        case answered(Answer)
        case failed(PostgresError)
        /// A query skipped because one before it in the segment failed.
        case aborted
        case synchronised
    }

    enum Action {
        case none
        case finished(Ticket, Result<[Answer], PostgresError>)
        /// The server answered more or less than was asked: the connection is of no more use.
        case violated
    }

    private struct Segment {
        let ticket: Ticket
        let queries: Int
        let deadlineNanoseconds: UInt64
        var answers: [Answer] = []
        var failure: PostgresError?
    }

    private var segments = RingBuffer<Segment>()

    /// Segments sent and not answered.
    var inFlight: Int { segments.count }

    /// When the oldest segment's time is up.
    var firstDeadlineNanoseconds: UInt64? { segments.first?.deadlineNanoseconds }

    /// A segment was sent: `queries` commands and a synchronisation.
    mutating func sent(_ ticket: Ticket, queries: Int, deadlineNanoseconds: UInt64) {
        segments.append(Segment(ticket: ticket, queries: queries, deadlineNanoseconds: deadlineNanoseconds))
    }

    mutating func handle(_ event: Event) -> Action {
        guard !segments.isEmpty else { return .violated }
        switch event {
        case .answered(let answer):
            guard segments[0].failure == nil, segments[0].answers.count < segments[0].queries else { return .violated }
            if segments[0].answers.isEmpty { segments[0].answers.reserveCapacity(segments[0].queries) }
            segments[0].answers.append(answer)
        case .failed(let error):
            // May come after the last answer: the commit at the synchronisation can fail (a deferred constraint).
            if segments[0].failure == nil { segments[0].failure = error }
        case .aborted:
            guard segments[0].failure != nil else { return .violated }
        case .synchronised:
            // Only now is it known whether the implicit transaction was committed.
            guard let segment = segments.removeFirst() else { return .violated }
            if let failure = segment.failure { return .finished(segment.ticket, .failure(failure)) }
            guard segment.answers.count == segment.queries else { return .violated }
            return .finished(segment.ticket, .success(segment.answers))
        }
        return .none
    }

    /// The connection is gone: takes out the tickets of all segments and their deadlines, oldest first.
    mutating func removeAll() -> [(Ticket, deadlineNanoseconds: UInt64)] {
        var tickets: [(Ticket, deadlineNanoseconds: UInt64)] = []
        while let segment = segments.removeFirst() { tickets.append((segment.ticket, segment.deadlineNanoseconds)) }
        return tickets
    }
}
