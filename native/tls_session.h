#pragma once

#include "openssl.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tls_context.h"

namespace flocker {

/**
 * One end of a TLS 1.3 session whose two ends have a key in common (RFC 8446, section 2.2: an external PSK, with an ephemeral key
 * exchange). Not for more than one thread. It reads from a non-blocking socket, and gathers what is to be sent: many records leave
 * in one call.
 */
class TlsSession {
 public:
  enum class Result { kDone, kAgain, kEnded, kFailed };

  struct Settings {
    /** Null where there was none to be had, of which OpenSSL's error queue says why. */
    std::shared_ptr<TlsContext> context;
    int socket;
    bool server;
    std::vector<uint8_t> key;
    /** Bytes that a key may carry before this end's is changed. */
    uint64_t keyBytes;
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
  size_t outSize() const { return out_.size() - outAt_; }
  /** Sends as many of them as the socket takes at once. Returns 0 or an errno, EAGAIN where it takes none now. */
  int Flush();

  /** Why something failed: Node.js's code for an error of OpenSSL's, or else an errno. */
  const std::string& failure() const { return failure_; }
  int error() const { return error_; }

  // For the context: what it calls of the session that it is called for.
  static int WriteOut(BIO* bio, const char* data, size_t size, size_t* written);
  /** Null where `ssl` is no session's. */
  static const TlsSession* Of(const SSL* ssl);
  /** Returns the key's size, or 0 where there is too little room. */
  unsigned int CopyKey(unsigned char* key, unsigned int size) const;

 private:
  bool Attach();
  Result Judge(int result);
  void Fail();

  Settings settings_;
  SSL* ssl_ = nullptr;
  std::vector<char> out_;
  size_t outAt_ = 0;
  uint64_t carried_ = 0;              // by the present key
  Result stopped_ = Result::kDone;  // why nothing can be read any more
  std::string failure_;
  int error_ = 0;
};

}  // namespace flocker

#endif
