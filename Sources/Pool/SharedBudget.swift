/// A rate that several share: so many a second in all, and of that an equal part for each who asked in the last second. No clock.
///
/// Who has not asked for a second is given his first one on credit, when the rest have used all there is: so a newcomer is never turned
/// away by those who take as much as they get. The credit is paid back before anybody else is served, so that the rate is held.
public struct SharedBudget: Sendable {
    /// Who asks. Nil for ourselves: seldom, and always on credit.
    public typealias Asker = Int64?

    public enum Answer: Equatable, Sendable {
        case granted
        /// All of it is used.
        case usedUp
        /// The asker has had his part.
        case overShare
    }

    private struct Account {
        var askedNanoseconds: UInt64
        var usedUpToNanoseconds: UInt64
    }

    private static let memoryNanoseconds: UInt64 = 1_000_000_000
    private static let creditNanoseconds: UInt64 = 1_000_000_000
    /// Asked for by more, newcomers share the credit.
    static let askersMax = 4_096

    private let nanosecondsPerToken: UInt64
    private var whole: TokenBucket
    private var accounts: [Int64: Account] = [:]
    private var nextForgetting: UInt64 = 0

    public init(perSecond: Int) {
        whole = TokenBucket(perSecond: perSecond)
        nanosecondsPerToken = perSecond == 0 ? 0 : max(1, 1_000_000_000 / UInt64(perSecond))
    }

    /// Those who asked in the last second, as far as it was looked at.
    public var askers: Int { accounts.count }

    /// - Parameter now: monotonic nanoseconds.
    public mutating func take(for asker: Asker, nowNanoseconds now: UInt64) -> Answer {
        guard nanosecondsPerToken > 0 else { return .usedUp }
        guard let asker else { return whole.take(nowNanoseconds: now, creditNanoseconds: Self.creditNanoseconds) ? .granted : .usedUp }
        forgetQuiet(now)
        let isNew = accounts[asker] == nil
        if isNew, accounts.count >= Self.askersMax { return whole.take(nowNanoseconds: now) ? .granted : .usedUp }
        var account = accounts[asker] ?? Account(askedNanoseconds: now, usedUpToNanoseconds: 0)
        account.askedNanoseconds = now
        defer { accounts[asker] = account }
        let each = nanosecondsPerToken * UInt64(accounts.count + (isNew ? 1 : 0))
        let burst = max(each, TokenBucket.burstNanoseconds)
        let start = max(account.usedUpToNanoseconds, now > burst ? now - burst : 0)
        guard start + each <= now else { return .overShare }
        // Those within their parts may come at the same instant: each is one ahead then.
        guard whole.take(nowNanoseconds: now, creditNanoseconds: isNew ? Self.creditNanoseconds : each) else { return .usedUp }
        account.usedUpToNanoseconds = start + each
        return .granted
    }

    private mutating func forgetQuiet(_ now: UInt64) {
        guard now >= nextForgetting else { return }
        nextForgetting = now + Self.memoryNanoseconds / 10
        accounts = accounts.filter { $0.value.askedNanoseconds + Self.memoryNanoseconds > now }
    }
}
