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
    }

    private var credentials: [UInt64: Credential] = [:]
    /// False until the keys have been read once: until then nobody can be told apart from a stranger.
    private(set) var isLoaded = false
    private var changedAt = Timestamp(microseconds: .min)

    /// - Parameter changedAt: when the keys last changed, as the server knew it. An answer older than the one held is of a
    ///   replica that lags, and is dropped: a key that was valid does not turn invalid, nor a revoked one valid again.
    mutating func replace(with list: [Credential], changedAt: Timestamp) {
        guard changedAt >= self.changedAt else { return }
        self.changedAt = changedAt
        var table: [UInt64: Credential] = [:]
        table.reserveCapacity(list.count)
        for credential in list {
            let digits: [UInt8] = Array(credential.publicID.utf8)
            guard let publicID = Hex.word(digits.span) else { continue }
            table[publicID] = credential
        }
        credentials = table
        isLoaded = true
    }

    /// - Parameter authorization: the value of the one `Authorization` field; nil when there is none or several.
    func caller(authorization: Span<UInt8>?, _ identity: Identity) throws(Problem) -> Caller {
        guard isLoaded else { throw Problem(.serviceUnavailable, detail: "the API keys are not read yet") }
        guard let authorization, let range = Authorization.bearerToken(authorization) else {
            throw Problem(.unauthorized, detail: "give an API key as `Authorization: Bearer sk_...`")
        }
        let token = authorization.extracting(range)
        // One text for every way to be wrong, so that nothing is told about which keys there are.
        guard let publicID = APIKey.publicID(of: token), let credential = credentials[publicID],
            identity.digest(ofKey: token) == credential.digest
        else { throw Problem(.unauthorized, detail: "the API key is not valid") }
        return Caller(tenant: credential.tenant, partition: credential.partition)
    }
}
