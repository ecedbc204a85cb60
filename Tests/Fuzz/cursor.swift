// modules: Bytes Ledger Wire
// seconds: 30
// planted: Sources/Wire/Cursor.swift s/return sequence >= 1 ?/return sequence >= -1 ?/
import Bytes
import Ledger
import Wire

@MainActor private let coder = CursorCoder()
@MainActor private let hasher = SHA256()
private let tenant = TenantID(7)

/// A cursor's text: raw, and as somebody would forge it who knows how the check sum is made (it is no secret).
///
/// What is taken reads as the same text again, for this tenant and list only, and is within what the ledger's columns hold.
@MainActor @c(LLVMFuzzerTestOneInput)
public func fuzzCursor(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe FuzzInput(start, count)
    let bytes = input.bytes
    check(bytes)
    var forged = bytes.copied
    forged.append(bigEndian: checkSum(bytes))
    let text: [UInt8] = Array(Base64URL.text(forged.span).utf8)
    let copy = FuzzInput(copying: text.span)
    let span = copy.bytes
    check(span)
    return 0
}

@MainActor private func check(_ text: Span<UInt8>) {
    guard let position = coder.position(text, tenant: tenant, list: "alice") else { return }
    switch position {
    case .entriesBefore(let sequence): precondition(sequence >= 1, "a sequence below 1")
    case .paymentsAfter(let time, _):
        precondition((Timestamp.earliest...Timestamp.latest).contains(time), "a time that no column holds")
    case .accountsAfter(let account):
        var id = account.text
        id.withUTF8 { text in precondition(unsafe AccountID.isValid(text.span), "an id that no account has") }
    }
    precondition(text.equals(Array(coder.text(position, tenant: tenant, list: "alice").utf8)), "two texts for one position")
    precondition(coder.position(text, tenant: TenantID(8), list: "alice") == nil, "another tenant's cursor")
    precondition(coder.position(text, tenant: tenant, list: "bob") == nil, "another list's cursor")
}

@MainActor private func checkSum(_ bytes: Span<UInt8>) -> UInt64 {
    hasher.hash { message in
        message.add(lengthPrefixed: "sluice.cursor.1")
        message.add(UInt64(bitPattern: tenant.rawValue))
        message.add(lengthPrefixed: "alice")
        message.add(lengthPrefixed: bytes)
    }.leadingWords.high
}
