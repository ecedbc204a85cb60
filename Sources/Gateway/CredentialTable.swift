internal import Bytes
internal import Ledger
internal import Store
internal import Wire

/// The API keys that are valid, by their public part. Replaced whole each time they are read.
struct CredentialTable {
    /// Whom a request is from.
    struct Caller: Equatable {
        let tenant: TenantID
        /// The partition of the tenant's commands.
        let partition: Int32
        /// What the key permits.
        var scopes = KeyScopes.all
    }

    /// What is looked at for each request: nothing that is counted, so that it is copied by moving bytes.
    private struct Entry {
        let caller: Caller
        let digest: Digest256
        let expiresAt: Timestamp?
        /// The key itself, once it was presented and its digest was right: comparing it costs a tenth of hashing it. Kept until the
        /// keys are read again.
        var proven: InlineArray<63, UInt8>?
    }

    private var credentials: [UInt64: Entry] = [:]
    /// False until the keys have been read once: until then nobody can be told apart from a stranger.
    private(set) var isLoaded = false
    private var changedAt = Timestamp(microseconds: .min)
    /// When the next key's time is over; nil while there is none with an end.
    private var nextExpiry: Timestamp?

    /// - Parameter changedAt: when the keys last changed, as the server knew it. An answer older than the one held is of a
    ///   replica that lags, and is dropped: a key that was valid does not turn invalid, nor a revoked one valid again.
    mutating func replace(with list: [Credential], changedAt: Timestamp) {
        guard changedAt >= self.changedAt else { return }
        self.changedAt = changedAt
        var table: [UInt64: Entry] = [:]
        table.reserveCapacity(list.count)
        for credential in list {
            let digits: [UInt8] = Array(credential.publicID.utf8)
            guard let publicID = Hex.word(digits.span) else { continue }
            table[publicID] = Entry(
                caller: Caller(tenant: credential.tenant, partition: credential.partition, scopes: credential.scopes),
                digest: credential.digest, expiresAt: credential.expiresAt, proven: nil)
        }
        credentials = table
        nextExpiry = list.compactMap(\.expiresAt).min()
        isLoaded = true
    }

    /// Takes out the keys whose time is over: also while no database can be asked, or none knows the newest change.
    mutating func expire(now: Timestamp) {
        guard let due = nextExpiry, due <= now else { return }
        credentials = credentials.filter { $0.value.expiresAt.map { $0 > now } ?? true }
        nextExpiry = credentials.values.compactMap(\.expiresAt).min()
    }

    /// - Parameter authorization: the value of the one `Authorization` field; nil when there is none or several.
    mutating func caller(authorization: Span<UInt8>?, _ identity: Identity) throws(Problem) -> Caller {
        if let authorization, let caller = provenCaller(authorization) { return caller }
        guard isLoaded else { throw Problem(.serviceUnavailable, detail: "the API keys are not read yet") }
        guard let authorization, let range = Authorization.bearerToken(authorization) else {
            throw Problem(.unauthorized, detail: "give an API key as `Authorization: Bearer sk_...`")
        }
        let token = authorization.extracting(range)
        // One text for every way to be wrong, so that nothing is told about which keys there are.
        guard let publicID = APIKey.publicID(of: token), let entry = credentials[publicID],
            identity.digest(ofKey: token) == entry.digest
        else { throw Problem(.unauthorized, detail: "the API key is not valid") }
        credentials[publicID]?.proven = InlineArray { token[$0] }
        return entry.caller
    }

    /// The caller of a field that is written as nearly everybody writes it, with a key that was proven before.
    private func provenCaller(_ authorization: Span<UInt8>) -> Caller? {
        let prefix: StaticString = "Bearer "
        guard authorization.count == prefix.utf8CodeUnitCount + APIKey.bytes,
            authorization.extracting(first: prefix.utf8CodeUnitCount).equals(prefix)
        else { return nil }
        let token = authorization.extracting(prefix.utf8CodeUnitCount...)
        guard let publicID = Hex.word(token.extracting(3..<19)), let entry = credentials[publicID], let proven = entry.proven else {
            return nil
        }
        // As long for every wrong key: the time tells nothing of where it is wrong.
        var difference: UInt8 = 0
        for index in 0..<APIKey.bytes { difference |= proven[index] ^ token[index] }
        return difference == 0 ? entry.caller : nil
    }
}
