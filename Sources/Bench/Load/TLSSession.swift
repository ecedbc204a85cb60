internal import CTLS
internal import Loop

/// What all TLS connections of a thread share.
@safe
final class TLSContext {
    let name: String
    fileprivate let pointer: OpaquePointer

    /// Nil when the authorities cannot be read.
    init?(_ security: LoadTarget.Security) {
        guard let pointer = unsafe sluice_tls_context_create(security.authorities, security.isVerified) else { return nil }
        unsafe self.pointer = pointer
        name = security.name
    }

    deinit { unsafe sluice_tls_context_free(pointer) }
}

/// One connection's TLS, without its socket: bytes from the peer go in, bytes for the peer come out.
@safe
struct TLSSession: ~Copyable {
    enum Shake { case done, wantsMore, failed }
    enum Read { case more, nothing, ended, failed }

    private static let chunkBytes = 16 * 1024
    private let context: TLSContext
    private let pointer: OpaquePointer

    /// Nil when the name cannot be that of a server.
    init?(_ context: TLSContext) {
        guard let pointer = unsafe sluice_tls_create(context.pointer, context.name) else { return nil }
        unsafe self.pointer = pointer
        self.context = context
    }

    deinit { unsafe sluice_tls_free(pointer) }

    /// False when memory is short.
    func feed(_ bytes: Span<UInt8>) -> Bool {
        unsafe bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return true }
            return unsafe sluice_tls_feed(pointer, base, buffer.count) == 0
        }
    }

    func shake() -> Shake {
        switch unsafe sluice_tls_shake(pointer) {
        case 1: .done
        case 0: .wantsMore
        default: .failed
        }
    }

    /// Appends what the peer sent, some of it at a time.
    func read(into output: inout [UInt8]) -> Read {
        var code = 0
        output.append(addingCapacity: Self.chunkBytes) { space in
            unsafe space.withUnsafeMutableBufferPointer { memory, count in
                code = unsafe sluice_tls_read(pointer, memory.baseAddress! + count, Self.chunkBytes)
                if code > 0 { count += code }
            }
        }
        switch code {
        case 0: return .nothing
        case -1: return .ended
        case ..<0: return .failed
        default: return .more
        }
    }

    /// False when the connection cannot send.
    func write(_ bytes: Span<UInt8>) -> Bool {
        unsafe bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return true }
            return unsafe sluice_tls_write(pointer, base, buffer.count) == 0
        }
    }

    /// Appends all that is to be sent to the peer.
    func take(into output: inout [UInt8]) {
        var taken = 0
        repeat {
            output.append(addingCapacity: Self.chunkBytes) { space in
                unsafe space.withUnsafeMutableBufferPointer { memory, count in
                    taken = unsafe sluice_tls_take(pointer, memory.baseAddress! + count, Self.chunkBytes)
                    count += taken
                }
            }
        } while taken == Self.chunkBytes
    }

    /// Why the server's certificate was refused; nil when it was not.
    var distrust: String? {
        guard let text = unsafe sluice_tls_distrust(pointer) else { return nil }
        return unsafe String(cString: text)
    }
}
