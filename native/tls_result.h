#pragma once

namespace flocker {

/** How a step of a TLS session went: done, nothing more can be done now, the peer says no more, or failed. */
enum class TlsResult { kDone, kAgain, kEnded, kFailed };

}  // namespace flocker
