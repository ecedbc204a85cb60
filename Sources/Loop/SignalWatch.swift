internal import CSystem

/// Delivers signals as events on a loop.
///
/// Made on the main thread before any other thread starts: the signals are blocked in this thread and in those it
/// starts, and read from a signalfd.
public final class SignalWatch {
    private let descriptor: CInt
    private var watch: DescriptorWatch?

    public init(loop: EventLoop, signals: [CInt], onSignal: @escaping (CInt) -> Void) {
        descriptor = unsafe signals.withUnsafeBufferPointer { buffer in
            unsafe sluice_signalfd_open(buffer.baseAddress!, buffer.count)
        }
        precondition(descriptor >= 0, "no signalfd: error \(-descriptor)")
        let descriptor = descriptor
        watch = DescriptorWatch(loop: loop, descriptor: descriptor) { _ in
            while true {
                let number = sluice_signalfd_read(descriptor)
                if number <= 0 { return }
                onSignal(number)
            }
        }
        watch?.interest = .read
    }

    deinit {
        watch?.cancel()
        Descriptors.close(descriptor)
    }
}
