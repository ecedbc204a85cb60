/// The numbers of an account's states. They rise with every change, and no number is given twice, not even by a ledger that has lost
/// commits and decides them anew.
///
/// The low bits count the account's changes without a gap. Above them stands the line of the ledger's history in which the state came
/// to be: a ledger that is restored to an earlier time, promoted from a standby or copied elsewhere goes on in a new line, with
/// numbers above all that were told before, whatever of it was lost.
public enum Revision {
    /// Changes of one account before its count reaches into the line: ten thousand a second for three years.
    public static let countBits: Int64 = 40
    /// The last line that has numbers of its own, so that every number is below 2^53, which JSON readers hold exactly.
    public static let lineMax: Int64 = (1 << (53 - countBits)) - 1

    private static let countMask: Int64 = (1 << countBits) - 1

    /// Of an account that is opened.
    public static func first(inLine line: Int64) -> Int64 { line << countBits | 1 }

    public static func next(after revision: Int64, inLine line: Int64) -> Int64 {
        max(revision, line << countBits | revision & countMask) + 1
    }
}
