#pragma once

#include "openssl.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <cstdint>
#include <string>
#include <vector>

#include "key_budget.h"
#include "tls_result.h"
#include "traffic_secret.h"

namespace flocker {

/**
 * The records of a TLS 1.3 session with AES-128-GCM, made and read by the kernel (its Documentation/networking/tls.rst), once the
 * handshake is done. On a non-blocking socket; not for more than one thread.
 */
class KernelTls {
 public:
  /** Why the kernel can't, found by trying; empty where it can. That means that it can change keys, too: Linux 6.14 and later. */
  static std::string Problem();

  /** `keyBytes`: bytes that a key may carry before this end's is changed. */
  KernelTls(int socket, uint64_t keyBytes) : socket_(socket), budget_(keyBytes) {}
  KernelTls(const KernelTls&) = delete;
  KernelTls& operator=(const KernelTls&) = delete;

  /**
   * Gives the kernel the keys. 0, or an errno where it didn't take them all; with `*untouched` true the socket is as it was.
   */
  int Begin(const TrafficSecret& send, const TrafficSecret& receive, bool* untouched);

  /** Gathers what is to be sent. */
  void Write(const char* data, size_t size);
  /** Says, after that, that nothing more comes. */
  void Close() { marks_.push_back({out_.size(), Mark::kClose}); }
  /** What waits to be sent, in bytes; what isn't of the stream counts for one. */
  size_t outSize() const { return out_.size() - outAt_ + marks_.size(); }
  /** Sends as much of it as the socket takes at once. Returns 0 or an errno, EAGAIN where it takes none now. */
  int Flush();
  /** Reads what is there and fits. kDone: `*count` bytes are there. */
  TlsResult Read(char* data, size_t size, size_t* count);

  /** Why something failed, as TlsSession says it. */
  const std::string& failure() const { return failure_; }
  int error() const { return error_; }

 private:
  /** What is not of the stream, between its bytes. */
  struct Mark {
    enum Kind { kKeyUpdate, kClose, kAlert };
    size_t at;
    Kind kind;
    uint8_t alert = 0;
  };

  int FlushBytes(size_t end);
  int FlushMark(const Mark& mark);
  int SendRecord(uint8_t type, const uint8_t* bytes, size_t size);
  int ChangeKey(int direction, TrafficSecret* secret);
  TlsResult ReadOther(uint8_t type, const uint8_t* bytes, size_t size);
  TlsResult ReadHandshake(const uint8_t* bytes, size_t size);
  TlsResult Fail(int error);
  TlsResult Fail(const char* failure, uint8_t alert);
  void UpdateKey();

  const int socket_;
  KeyBudget budget_;
  TrafficSecret send_, receive_;
  std::vector<char> out_;
  size_t outAt_ = 0;
  std::vector<Mark> marks_;
  TlsResult stopped_ = TlsResult::kDone;  // why nothing can be read any more
  std::string failure_;
  int error_ = 0;
};

}  // namespace flocker

#endif
