#pragma once

#include "openssl.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernel_tls.h"
#include "key_budget.h"
#include "tls_context.h"
#include "tls_result.h"
#include "traffic_secret.h"

namespace flocker {

/**
 * One end of a TLS 1.3 session whose two ends have a key in common (RFC 8446, section 2.2: an external PSK, with an ephemeral key
 * exchange). Not for more than one thread. It reads from a non-blocking socket, and gathers what is to be sent: many records leave
 * in one call.
 */
class TlsSession {
 public:
  using Result = TlsResult;

  /** What a record holds at most (RFC 8446, section 5.1). */
  static constexpr size_t kRecord = 16384;

  struct Settings {
    /** Null where there was none to be had, of which OpenSSL's error queue says why. */
    std::shared_ptr<TlsContext> context;
    int socket;
    bool server;
    std::vector<uint8_t> key;
    /** Bytes that a key may carry before this end's is changed. */
    uint64_t keyBytes;
    /** Whether the kernel is to make and read the records after the handshake, where it takes this session's keys. */
    bool kernel;
  };

  TlsSession() = default;
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession();

  /** False with `failure` set. */
  bool Open(Settings settings);
  Result Handshake();
  /** Encrypts all of it; false with `failure` set. */
  bool Write(const char* data, size_t size);
  /** Reads until there is no more, or no more room. kDone: `*count` bytes are there. */
  Result Read(char* data, size_t size, size_t* count);
  /** Says that nothing more comes. */
  void Close();

  /** Bytes that wait to be sent. */
  size_t outSize() const { return kernel_ ? kernel_->outSize() : out_.size() - outAt_; }
  /** Sends as many of them as the socket takes at once. Returns 0 or an errno, EAGAIN where it takes none now. */
  int Flush();

  /**
   * Whether closing the connection for sending alone could cut off what was sent: of the records that it makes, the kernel may still hold
   * some that TCP had no room for.
   */
  bool holdsBack() const { return kernel_ != nullptr; }
  /** Reads and forgets what is there. kEnded or kFailed: nothing more comes. */
  Result Discard();

  /** Why something failed: Node.js's code for an error of OpenSSL's, or else an errno. */
  const std::string& failure() const { return kernel_ ? kernel_->failure() : failure_; }
  int error() const { return kernel_ ? kernel_->error() : error_; }

  // For the context: what it calls of the session that it is called for.
  static int WriteOut(BIO* bio, const char* data, size_t size, size_t* written);
  /** Null where `ssl` is no session's. */
  static TlsSession* Of(const SSL* ssl);
  /** Returns the key's size, or 0 where there is too little room. */
  unsigned int CopyKey(unsigned char* key, unsigned int size) const;
  /** A line of SSL_CTX_set_keylog_callback(3), of which the kernel's keys are made. */
  void Learn(const char* line);

 private:
  bool Attach();
  Result GiveToKernel();
  Result Judge(int result);
  void Fail();

  Settings settings_;
  SSL* ssl_ = nullptr;
  TrafficSecret fromClient_, fromServer_;
  std::unique_ptr<KernelTls> kernel_;  // once the kernel has the keys
  std::vector<char> out_;
  size_t outAt_ = 0;
  KeyBudget budget_;
  Result stopped_ = Result::kDone;  // why nothing can be read any more
  std::string failure_;
  int error_ = 0;
};

}  // namespace flocker

#endif
