internal import CJemalloc

/// What threads allocate, by jemalloc's own count.
public enum ThreadMemory {
    /// Bytes that this thread has allocated since it began, by Swift and by C libraries alike, freed ones included.
    public static var allocatedBytes: UInt64 {
        var bytes: UInt64 = 0
        var size = MemoryLayout<UInt64>.size
        let code = unsafe mallctl("thread.allocated", &bytes, &size, nil, 0)
        precondition(code == 0, "the process does not run on jemalloc")
        return bytes
    }
}
