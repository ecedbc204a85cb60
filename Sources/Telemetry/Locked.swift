public import Synchronization

/// A value that threads take turns with: `Mutex`, made visible to the thread sanitizer.
///
/// Where threads contend, `Mutex` leaves it to the kernel who is next, and the sanitizer does not see that one thread came after the
/// other. A build for it (`-DSLUICE_TSAN`) says so by an atomic that nobody else needs.
public struct Locked<Value: ~Copyable>: ~Copyable, Sendable {
    @usableFromInline let mutex: Mutex<Value>
    #if SLUICE_TSAN
    @usableFromInline let turn = Atomic<Bool>(false)
    #endif

    @inlinable
    public init(_ value: consuming sending Value) { mutex = Mutex(value) }

    /// Waits for its turn, and blocks the thread meanwhile.
    @inlinable
    public borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        try mutex.withLock { value throws(Failure) in
            #if SLUICE_TSAN
            _ = turn.load(ordering: .acquiring)
            defer { turn.store(true, ordering: .releasing) }
            #endif
            return try body(&value)
        }
    }
}
