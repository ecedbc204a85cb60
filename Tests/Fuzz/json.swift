// modules: Bytes Ledger Wire
// seconds: 30
// planted: CShims/CSimdJSON/csimdjson.cpp s/if (index < nodes_max) nodes\[index\] = node;/nodes[index] = node;/
import Bytes
import Ledger
import Wire

@MainActor private let reader = RequestReader()

/// A request's body, read as a payment and as an account: what is taken has one canonical form, which reads back as the same
/// command and is a fixed point.
@MainActor @c(LLVMFuzzerTestOneInput)
public func fuzzJSON(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe FuzzInput(start, count)
    let body = input.bytes
    if case .success(let pay) = reader.payment(body) { check(.pay(pay)) }
    if case .success(let open) = reader.account(body) { check(.openAccount(open)) }
    if case .success(let command) = reader.command(canonical: body) {
        precondition(body.equals(canonical(command)), "another form passed for the canonical one")
    }
    return 0
}

@MainActor private func check(_ command: Command) {
    if case .pay(let pay) = command {
        precondition(pay.debit != pay.credit, "debit and credit are the same account")
        precondition((1...Money.minorUnitsMax).contains(pay.amount), "an amount out of range")
    }
    let text = canonical(command)
    let copy = FuzzInput(copying: text.span)
    let span = copy.bytes
    guard case .success(let again) = reader.command(canonical: span) else { preconditionFailure("a canonical form that is refused") }
    precondition(again == command, "another command under the same canonical form")
}

private func canonical(_ command: Command) -> [UInt8] {
    var text: [UInt8] = []
    text.append(canonical: command)
    return text
}
